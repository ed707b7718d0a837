// See split_disk.hpp.
#include "pg/postgres.hpp"

#include "split/split_disk.hpp"

#include "pg/ident.hpp"
#include "settings/settings.hpp"

#include <sys/statvfs.h>

extern "C" {
#include <catalog/pg_tablespace_d.h>
#include <miscadmin.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
}

namespace privacy_scan::split
{

namespace
{

// Red. What an unprivileged process may still write.
std::int64_t free_bytes(Oid tablespace)
{
    char path[64];
    if (tablespace == DEFAULTTABLESPACE_OID)
        strlcpy(path, "base", sizeof path);
    else
        snprintf(path, sizeof path, "pg_tblspc/%u/.", tablespace);
    struct statvfs volume;
    if (statvfs(path, &volume) != 0)
        ereport(ERROR,
                (errcode_for_file_access(), errmsg("could not ask for the free disk of \"%s\": %m", path)));
    return static_cast<std::int64_t>(volume.f_bavail) * static_cast<std::int64_t>(volume.f_frsize);
}

// New partitions are made where the parent says.
Oid tablespace_of(pg::Spi &spi, Oid parent)
{
    const Oid own =
        spi.run("SELECT reltablespace FROM pg_catalog.pg_class WHERE oid = $1", {pg::oid_param(parent)})
            .oid(0, 1);
    return OidIsValid(own) ? own : MyDatabaseTableSpace;
}

// 0 before they are made.
std::int64_t size_of_pieces(pg::Spi &spi, const Stretch &stretch)
{
    pg::CatalogScope scope;
    return spi
        .run("SELECT coalesce(sum(pg_catalog.pg_total_relation_size(piece)), 0)::bigint"
             " FROM privacy_scan.split_pieces WHERE partition = $1",
             {pg::regclass_param(stretch.sources.front().relid)})
        .int8(0, 1);
}

} // namespace

std::string megabytes(std::int64_t bytes)
{
    return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MB";
}

std::int64_t free_for_pieces(pg::Spi &spi, const Stretch &stretch)
{
    const Oid tablespace = tablespace_of(spi, stretch.parent());
    return pg::guarded([=] { return free_bytes(tablespace); });
}

std::optional<Refusal> refuse_for_disk(pg::Spi &spi, const Stretch &stretch)
{
    const std::int64_t left = std::max<std::int64_t>(stretch.all_bytes() - size_of_pieces(spi, stretch), 0);
    const std::int64_t reserve = std::int64_t{settings::split_disk_reserve_mb()} << 20;
    const std::int64_t free = free_for_pieces(spi, stretch);
    if (free >= left + reserve)
        return std::nullopt;
    return Refusal{"too little disk is free",
                   "About " + megabytes(left) + " are to be written, " + megabytes(free) +
                       " are free, and privacy_scan.split_disk_reserve keeps " + megabytes(reserve) + ".",
                   "Free some, or have new partitions made on another volume: ALTER TABLE " +
                       stretch.set.name() + " SET TABLESPACE."};
}

void require_disk(pg::Spi &spi, const Stretch &stretch)
{
    if (const std::optional<Refusal> refusal = refuse_for_disk(spi, stretch))
        pg::fail(ERRCODE_DISK_FULL, refusal->message, refusal->detail, refusal->hint);
}

} // namespace privacy_scan::split
