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

// Red. What an unprivileged process may still write; nothing where the system doesn't say.
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

std::int64_t size_of(pg::Spi &spi, const std::vector<Piece> &pieces)
{
    std::int64_t bytes = 0;
    for (const Piece &piece : pieces)
        bytes +=
            spi.run("SELECT pg_catalog.pg_total_relation_size($1)", {pg::oid_param(piece.relid)}).int8(0, 1);
    return bytes;
}

} // namespace

std::string megabytes(std::int64_t bytes)
{
    return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MB";
}

std::optional<Refusal> refuse_for_disk(pg::Spi &spi, const Stretch &stretch, const std::vector<Piece> &pieces)
{
    const std::int64_t left = std::max<std::int64_t>(stretch.all_bytes() - size_of(spi, pieces), 0);
    const std::int64_t reserve = std::int64_t{settings::split_disk_reserve_mb()} << 20;
    const Oid tablespace = tablespace_of(spi, stretch.parent());
    const std::int64_t free = pg::guarded([=] { return free_bytes(tablespace); });
    if (free >= left + reserve)
        return std::nullopt;
    return Refusal{"too little disk is free",
                   "About " + megabytes(left) + " are to be written, " + megabytes(free) +
                       " are free, and privacy_scan.split_disk_reserve keeps " + megabytes(reserve) + ".",
                   "Free some, or have new partitions made on another volume: ALTER TABLE " +
                       stretch.set.name() + " SET TABLESPACE."};
}

void require_disk(pg::Spi &spi, const Stretch &stretch, const std::vector<Piece> &pieces)
{
    if (const std::optional<Refusal> refusal = refuse_for_disk(spi, stretch, pieces))
        pg::fail(ERRCODE_DISK_FULL, refusal->message, refusal->detail, refusal->hint);
}

} // namespace privacy_scan::split
