// The SQL functions on archives.
#include "pg/postgres.hpp"

#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/standby.hpp"
#include "retention/archive_check.hpp"
#include "retention/condition.hpp"
#include "retention/restore.hpp"

using namespace privacy_scan;
using namespace privacy_scan::retention;

namespace
{

Datum restore(FunctionCallInfo fcinfo,
              const std::function<std::string(pg::Spi &, const pg::OwnedTable &)> &condition)
{
    pg::Arguments args(fcinfo);
    const pg::OwnedTable root = pg::require_owner(args.relation(0, "root"));
    pg::RowSink sink(fcinfo);
    if (pg::is_standby()) {
        put(sink, standby_row(root.relid));
        return Datum(0);
    }
    pg::require_writable("restore_archive()");
    pg::Spi spi;
    for (const ActionRow &row :
         restore_families(spi, root.relid, compile_condition(root, condition(spi, root))))
        put(sink, row);
    return Datum(0);
}

} // namespace

// privacy_scan.verify_archive(id bigint) returns rows: the archive that a row of privacy_scan.archives is
// about, or (NULL) each of the caller's, read and compared with what the ledger adds up to: ok, DIFFERENT,
// MISSING, UNREADABLE (with the error), changing. It is noted in privacy_scan.archives. VOLATILE. Errors:
// 42501, 42704.
PS_FUNCTION(ps_verify_archive)
{
    pg::Arguments args(fcinfo);
    std::optional<std::int64_t> id;
    if (!args.is_null(0))
        id = DatumGetInt64(args.datum(0));
    pg::RowSink sink(fcinfo);
    if (pg::is_standby()) {
        sink.put({pg::null_cell(), pg::null_cell(), pg::null_cell(), pg::null_cell(),
                  pg::cell(pg::standby_action), pg::cell(pg::standby_message)});
        return Datum(0);
    }
    pg::require_writable("verify_archive()");
    pg::require_read_committed("verify_archive()");
    pg::Spi spi;
    for (const ArchiveCheck &check : check_archives(spi, id))
        sink.put({pg::cell(check.archive), pg::cell(check.leaf), pg::cell(check.rows),
                  check.found_rows ? pg::cell(*check.found_rows) : pg::null_cell(), pg::cell(check.state),
                  pg::cell(check.detail)});
    return Datum(0);
}

// privacy_scan.restore_archive(root regclass, condition text) returns rows: the archived families whose root
// meets the condition, written as a policy's, go back where they came from, in the caller's transaction:
// parents first, with the same digests. They have expired still: the next retention takes them again, unless
// they are held. VOLATILE. Errors: 22004, 42501, 42704 no policy, 23505 a row is there already, 55000 a row
// can't be put back as it was, 55P03, and for the condition those of set_retention().
PS_FUNCTION(ps_restore_archive)
{
    return restore(fcinfo, [&](pg::Spi &, const pg::OwnedTable &) {
        return pg::Arguments(fcinfo).text(1, "condition");
    });
}

// privacy_scan.restore_archive(root regclass, ids text[]) returns rows: the same for the roots with these
// ids, as hold() takes them.
PS_FUNCTION(ps_restore_archive_ids)
{
    return restore(fcinfo, [&](pg::Spi &spi, const pg::OwnedTable &root) {
        return condition_of_ids(spi, root, pg::Arguments(fcinfo).required(1, "ids"));
    });
}
