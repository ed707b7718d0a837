// See archive_window.hpp. Whoever writes to a window keeps its row in privacy_scan.archive_windows FOR SHARE,
// so that nobody closes it before the commit.
#include "pg/postgres.hpp"

#include "retention/archive_window.hpp"

#include "pg/ident.hpp"
#include "pg/privileges.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <storage/lockdefs.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::retention
{

namespace
{

void wait_briefly(pg::GucScope &settings)
{
    settings.set("lock_timeout", (std::to_string(settings::lock_timeout_ms()) + "ms").c_str());
}

// False where there is none. One whose table somebody has dropped is closed: verify_archive() will say so.
bool find_window(pg::Spi &spi, ArchiveTable &archive)
{
    pg::GucScope waiting;
    wait_briefly(waiting);
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT leaf, to_regclass(leaf)::oid FROM privacy_scan.archive_windows"
                            " WHERE target = $1 AND closed_at IS NULL FOR SHARE",
                            {pg::text_param(archive.name)});
    if (rows.empty())
        return false;
    if (rows.is_null(0, 2)) {
        spi.run("UPDATE privacy_scan.archive_windows SET closed_at = clock_timestamp() WHERE leaf = $1",
                {pg::text_param(rows.text(0, 1))});
        return false;
    }
    archive.window_name = rows.text(0, 1);
    archive.window = rows.oid(0, 2);
    return true;
}

std::string next_name(pg::Spi &spi, const ArchiveTable &archive)
{
    pg::CatalogScope scope;
    const std::int64_t number = spi.run("SELECT nextval('privacy_scan.archive_windows_id_seq')").int8(0, 1);
    return pg::quote(pg::schema_name(archive.relid),
                     pg::name_with_suffix(pg::relation_name(archive.relid), "_" + std::to_string(number)));
}

Oid make_table(pg::Spi &spi, const Member &member, const ArchiveTable &archive, const std::string &name)
{
    pg::OwnerScope owner(member.table.owner);
    spi.run("CREATE TABLE " + name + " () INHERITS (" + archive.name + ")");
    const Oid relid = spi.run("SELECT to_regclass($1)::oid", {pg::text_param(name)}).oid(0, 1);
    pg::undo_default_privileges(spi, relid);
    carry_row_security(spi, archive.relid, relid);
    return relid;
}

void make_window(pg::Spi &spi, const Member &member, ArchiveTable &archive)
{
    const Oid relid = archive.relid;
    if (pg::guarded([=] { return get_rel_relkind(relid); }) != RELKIND_RELATION)
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE, archive.name + " cannot go on as files", "It is partitioned.",
                 "Name another archive_schema, or keep the archive as a table.");
    archive.window_name = next_name(spi, archive);
    archive.window = make_table(spi, member, archive, archive.window_name);
    pg::CatalogScope scope;
    spi.run("INSERT INTO privacy_scan.archive_windows (target, leaf) VALUES ($1, $2)",
            {pg::text_param(archive.name), pg::text_param(archive.window_name)});
}

} // namespace

void open_window(pg::Spi &spi, const Member &member, ArchiveTable &archive)
{
    if (find_window(spi, archive))
        return;
    pg::lock_owned(member.table, ShareUpdateExclusiveLock); // one session at a time makes it
    if (!find_window(spi, archive))
        make_window(spi, member, archive);
}

void close_windows(pg::Spi &spi, Oid root)
{
    pg::GucScope waiting;
    wait_briefly(waiting);
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.archive_windows w SET closed_at = clock_timestamp()"
            " WHERE w.closed_at IS NULL AND EXISTS (SELECT FROM privacy_scan.archive_ledger a"
            "  WHERE a.target = w.target AND a.leaf = w.leaf AND a.root = $1)",
            {pg::regclass_param(root)});
}

} // namespace privacy_scan::retention
