// The room's SQL functions. Each checks its arguments and the caller's rights before it takes a lock.
#include "pg/postgres.hpp"

#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/rowset.hpp"
#include "pg/standby.hpp"
#include "pg/subxact.hpp"
#include "settings/settings.hpp"
#include "split/split_plan.hpp"
#include "split/split_steps.hpp"

extern "C" {
#include <storage/latch.h>
#include <utils/wait_event.h>
}

using namespace privacy_scan;
using namespace privacy_scan::split;

namespace
{

using pg::cell;

void put_line(pg::RowSink &sink, const char *kind, const std::string &message, const std::string &detail,
              const std::string &hint)
{
    sink.put({cell(kind), pg::null_cell(), pg::null_cell(), pg::null_cell(), cell(message), cell(detail),
              cell(hint)});
}

void put_pieces(pg::RowSink &sink, const Source &source, const std::vector<partition::Cell> &cells)
{
    for (const partition::Cell &piece : cells)
        sink.put({cell("piece"), pg::null_cell(), cell(source.set.key().text_of(piece.lower)),
                  cell(source.set.key().text_of(piece.upper)), pg::null_cell(), pg::null_cell(),
                  pg::null_cell()});
}

std::string megabytes(std::int64_t bytes)
{
    return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MB";
}

bool is_retained(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    return !spi.run("SELECT FROM privacy_scan.retention_rules WHERE root = $1", {pg::regclass_param(relid)})
                .empty();
}

void put_notes(pg::Spi &spi, pg::RowSink &sink, const Source &source)
{
    put_line(sink, "note", "a second copy of the partition is made, and the first stays",
             "It takes about " + megabytes(source.all_bytes) + " of disk until one of them is dropped.", {});
    if (is_retained(spi, source.set.table().relid))
        put_line(sink, "note", "retention rules the relation",
                 "Where all of the partition expires soon, doing nothing is best: it ages out as a whole.",
                 {});
}

void put_step(pg::RowSink &sink, const StepRow &row)
{
    sink.put({cell(row.step), cell(row.state), cell(row.done), row.total ? cell(row.total) : pg::null_cell(),
              cell(row.ms), cell(row.message)});
}

void notice(const StepRow &row)
{
    if (row.state != "done now")
        return;
    const char *step = row.step.c_str();
    const char *message = row.message.c_str();
    pg::guarded(
        [=] { ereport(NOTICE, (errmsg("%s: done", step), *message ? errdetail("%s.", message) : 0)); });
}

// Between two transactions, holding nothing.
void rest(double ms)
{
    if (ms < 1)
        return;
    pg::guarded([=] {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, static_cast<long>(ms),
                        PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    });
}

StepRow begin_or_advance(pg::Spi &spi, Oid relid)
{
    return find_state(spi, relid) ? advance(spi, relid) : begin(spi, read_source(spi, relid));
}

} // namespace

// privacy_scan.plan_split(partition regclass): rows of the pieces it would fall into, of what to know and of
// every reason why not; takes no lock but for reading. VOLATILE (sizes). Errors: 22004, 42P01, 42501, 42809
// no partition or DEFAULT, 42704 the relation is not managed.
PS_FUNCTION(ps_plan_split)
{
    const pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0, "partition");
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    const Source source = read_source(spi, relid);
    put_pieces(sink, source, cells_of(spi, source));
    put_notes(spi, sink, source);
    for (const Refusal &refusal : find_refusals(spi, source))
        put_line(sink, "refusal", refusal.message, refusal.detail, refusal.hint);
    return Datum(0);
}

// privacy_scan.split_partition(partition regclass): begins the split or does its next step, in the caller's
// transaction; a row of what was done. VOLATILE. Errors: those of plan_split(); 0A000 a reason why not, 22023
// nothing to split, 55000 what it rests on has changed, 55P03 a lock that could not be had, 25001, 25006.
PS_WRITING_FUNCTION(ps_split_partition)
{
    const pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0, "partition");
    pg::require_owner(relid);
    pg::require_read_committed("split_partition()");
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    put_step(sink, begin_or_advance(spi, relid));
    return Datum(0);
}

// CALL privacy_scan.run_split(partition regclass): step after step to the end, a transaction each; a NOTICE
// per step. Waits for older transactions without holding anything. A step that fails is kept in the view
// splits, and raised. Errors as split_partition(), 2D000 inside a transaction block.
PS_WRITING_FUNCTION(ps_run_split)
{
    const pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0, "partition");
    pg::require_owner(relid);
    pg::require_read_committed("run_split()");
    pg::Spi spi(fcinfo);
    constexpr double wait_ms = 100;
    for (bool more = true; more;) {
        std::optional<StepRow> row;
        const auto failure = pg::try_in_subtransaction([&] { row = begin_or_advance(spi, relid); });
        if (failure && find_state(spi, relid))
            store_error(spi, relid, *failure);
        spi.commit();
        if (failure)
            pg::raise(*failure);
        notice(*row);
        rest(row->is_waiting ? wait_ms : rest_ms(row->bytes, row->ms, settings::split_rate_kb()));
        more = row->more;
    }
    return Datum(0);
}

// privacy_scan.cancel_split(partition regclass): drops what was made, and forgets the split. Returns true.
// VOLATILE. Errors: 42704 not being split, 55000 after the switch, 55P03.
PS_WRITING_FUNCTION(ps_cancel_split)
{
    const pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0, "partition");
    pg::require_owner(relid);
    pg::require_read_committed("cancel_split()");
    pg::Spi spi;
    cancel(spi, relid);
    return BoolGetDatum(true);
}
