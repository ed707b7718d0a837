// The SQL functions that bring the partitions of a set to the grid of its policy. Each checks its arguments
// and the caller's rights before it takes a lock.
#include "pg/postgres.hpp"

#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/owner.hpp"
#include "pg/rowset.hpp"
#include "pg/standby.hpp"
#include "split/split_run.hpp"

extern "C" {
#include <utils/array.h>
}

using namespace privacy_scan;
using namespace privacy_scan::split;

namespace
{

constexpr std::size_t all_misfits = 10000;

pg::Cell cell_regclasses(const std::vector<Oid> &relids)
{
    std::vector<Datum> values;
    for (const Oid relid : relids)
        values.push_back(ObjectIdGetDatum(relid));
    const int count = static_cast<int>(values.size());
    Datum *data = values.data();
    return {pg::guarded([=] {
                return PointerGetDatum(
                    construct_array(data, count, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT));
            }),
            false};
}

} // namespace

// privacy_scan.plan_reshape(relation regclass): a row for each partition that reshape_partitions() would
// make. VOLATILE. Errors: 22004, 42P01, 42501, 42704 not managed.
PS_FUNCTION(ps_plan_reshape)
{
    const pg::Arguments args(fcinfo);
    const Oid parent = args.relation(0);
    pg::require_owner(parent);
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    std::int64_t step = 0;
    for (const Misfit &misfit : find_misfits(spi, parent, all_misfits)) {
        ++step;
        for (const partition::Cell &piece : misfit.cells)
            sink.put({pg::cell(step), cell_regclasses(misfit.stretch.relids()),
                      pg::cell(misfit.stretch.set.key().text_of(piece.lower)),
                      pg::cell(misfit.stretch.set.key().text_of(piece.upper))});
    }
    return Datum(0);
}

// privacy_scan.reshape_partitions(relation regclass, drop_sources boolean): leaves it to the set's job to
// bring all partitions to the grid; the number of stretches that don't fit now. VOLATILE. Errors as
// plan_reshape(), 25006.
PS_WRITING_FUNCTION(ps_reshape_partitions)
{
    const pg::Arguments args(fcinfo);
    const Oid parent = args.relation(0);
    const bool drops_sources = DatumGetBool(args.required(1, "drop_sources"));
    pg::require_owner(parent);
    pg::Spi spi;
    const std::size_t count = find_misfits(spi, parent, all_misfits).size();
    if (count > 0)
        request_reshape(spi, parent, drops_sources);
    return Int64GetDatum(static_cast<std::int64_t>(count));
}

// privacy_scan.cancel_reshape(relation regclass): takes the request back. False where there was none.
// VOLATILE. Errors: 22004, 42P01, 42501, 25006.
PS_WRITING_FUNCTION(ps_cancel_reshape)
{
    const pg::Arguments args(fcinfo);
    const Oid parent = args.relation(0);
    pg::require_owner(parent);
    pg::Spi spi;
    return BoolGetDatum(cancel_reshape(spi, parent));
}
