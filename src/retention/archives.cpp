// The SQL functions that bring archived families back.
#include "pg/postgres.hpp"

#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/standby.hpp"
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
    pg::Spi spi;
    for (const ActionRow &row :
         restore_families(spi, root.relid, compile_condition(root, condition(spi, root))))
        put(sink, row);
    return Datum(0);
}

} // namespace

// privacy_scan.restore_archive(root regclass, condition text) returns rows: the archived families whose root
// meets the condition, written as a policy's, go back where they came from, in the caller's transaction:
// parents first, with the same digests. They have expired still: the next retention takes them again, unless
// they are held. VOLATILE. Errors: 22004, 42501, 42704 no policy, 23505 rows are there already, which are named, 55000 a row
// can't be put back as it was, or is in a file, 55P03, and for the condition those of set_retention().
PS_WRITING_FUNCTION(ps_restore_archive)
{
    return restore(fcinfo, [&](pg::Spi &, const pg::OwnedTable &) {
        return pg::Arguments(fcinfo).text(1, "condition");
    });
}

// privacy_scan.restore_archive(root regclass, ids text[]) returns rows: the same for the roots with these
// ids, as hold() takes them.
PS_WRITING_FUNCTION(ps_restore_archive_ids)
{
    return restore(fcinfo, [&](pg::Spi &spi, const pg::OwnedTable &root) {
        return condition_of_ids(spi, root, pg::Arguments(fcinfo).required(1, "ids"));
    });
}
