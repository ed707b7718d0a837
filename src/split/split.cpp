// The room's SQL functions. Each checks its arguments and the caller's rights before it takes a lock.
#include "pg/postgres.hpp"

#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/rowset.hpp"
#include "pg/standby.hpp"
#include "pg/subxact.hpp"
#include "split/split_disk.hpp"
#include "split/split_steps.hpp"

extern "C" {
#include <utils/array.h>
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

void put_pieces(pg::RowSink &sink, const Stretch &stretch, const std::vector<partition::Cell> &cells)
{
    for (const partition::Cell &piece : cells)
        sink.put({cell("piece"), pg::null_cell(), cell(stretch.set.key().text_of(piece.lower)),
                  cell(stretch.set.key().text_of(piece.upper)), pg::null_cell(), pg::null_cell(),
                  pg::null_cell()});
}

bool is_retained(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    return !spi.run("SELECT FROM privacy_scan.retention_rules WHERE root = $1", {pg::regclass_param(relid)})
                .empty();
}

void put_notes(pg::Spi &spi, pg::RowSink &sink, const Stretch &stretch)
{
    const bool is_one = stretch.sources.size() == 1;
    put_line(sink, "note",
             is_one ? "a second copy of the partition is made, and the first stays"
                    : "a second copy of the partitions is made, and the first ones stay",
             "It takes about " + megabytes(stretch.all_bytes()) + " of disk until one of them is dropped; " +
                 megabytes(free_for_pieces(spi, stretch)) + " are free where it is made.",
             {});
    if (is_one && is_retained(spi, stretch.parent()))
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
    const char *step = row.step.c_str(), *message = row.message.c_str(),
               *state = row.state == "done now" ? "done" : row.state.c_str();
    pg::guarded(
        [=] { ereport(NOTICE, (errmsg("%s: %s", step, state), *message ? errdetail("%s.", message) : 0)); });
}

// What is asked for: one partition to be split, or several to be merged.
struct Request {
    std::vector<Oid> relids;
    bool merges;
    Wishes wishes;
};

Request split_of(const pg::Arguments &args)
{
    return {{args.relation(0, "partition")}, false, {}};
}

Request merge_of(const pg::Arguments &args)
{
    Request request{{}, true, {}};
    const Datum argument = args.required(0, "partitions");
    Datum *values = nullptr;
    bool *nulls = nullptr;
    int count = 0;
    pg::guarded([&] {
        deconstruct_array(DatumGetArrayTypeP(argument), REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT, &values,
                          &nulls, &count);
    });
    for (int i = 0; i < count; ++i) {
        if (nulls[i])
            pg::fail(ERRCODE_NULL_VALUE_NOT_ALLOWED, "argument \"partitions\" must not contain NULL");
        request.relids.push_back(DatumGetObjectId(values[i]));
    }
    if (count < 2)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "there is nothing to merge", {},
                 "Name two adjacent partitions or more.");
    if (count > most_sources)
        pg::fail(ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                 "cannot merge more than " + std::to_string(most_sources) + " partitions at once",
                 "With each the switch holds its strong locks for longer.",
                 "Merge stretches of them, and then these.");
    return request;
}

// Of exactly these partitions, whatever their order.
void require_same(const Request &request, const State &state)
{
    std::vector<Oid> asked = request.relids, known = state.relids();
    std::sort(asked.begin(), asked.end());
    std::sort(known.begin(), known.end());
    if (asked != known)
        pg::fail(ERRCODE_OBJECT_IN_USE,
                 "partition \"" + pg::relation_name(request.relids.front()) + "\" takes part in another " +
                     (state.is_split() ? "split" : "merge"),
                 {}, "Let that come to its end, or call privacy_scan.cancel_split().");
}

// What is under way of it, if anything is.
std::optional<State> find_begun(pg::Spi &spi, const Request &request)
{
    std::optional<State> begun;
    for (const Oid relid : request.relids) {
        pg::require_owner(relid);
        if (std::optional<State> state = find_state(spi, relid)) {
            require_same(request, *state);
            begun = state;
        }
    }
    return begun;
}

StepRow begin_request(pg::Spi &spi, const Request &request)
{
    const Stretch stretch = read_stretch(spi, request.relids);
    const Tiling tiling = tile_stretch(spi, stretch);
    if (tiling.cells.size() < 2 && tiling.refusal && find_refusals(spi, stretch).empty())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, tiling.refusal->message, tiling.refusal->detail,
                 tiling.refusal->hint);
    return begin(spi, stretch, tiling.cells, request.wishes);
}

StepRow begin_or_advance(pg::Spi &spi, const Request &request)
{
    const std::optional<State> begun = find_begun(spi, request);
    if (!begun)
        return begin_request(spi, request);
    if (request.wishes.drops_sources && !begun->drops_sources)
        wish(spi, begun->relid, {begun->in_background, true});
    return advance(spi, begun->relid);
}

// Begins it, where it hasn't, and leaves the rest to the set's job.
StepRow hand_over(pg::Spi &spi, const Request &request)
{
    StepRow row{"begin", "done", {}, 0, 0, 0, true, false, 0};
    if (const std::optional<State> begun = find_begun(spi, request))
        wish(spi, begun->relid, request.wishes);
    else
        row = begin_request(spi, request);
    row.message += (row.message.empty() ? "" : "; ") + std::string("the job splits goes on with it");
    return row;
}

Datum do_step(FunctionCallInfo fcinfo, const Request &request, const char *what)
{
    pg::RowSink sink(fcinfo);
    for (const Oid relid : request.relids)
        pg::require_owner(relid);
    pg::require_read_committed(what);
    pg::Spi spi;
    put_step(sink, request.wishes.in_background ? hand_over(spi, request) : begin_or_advance(spi, request));
    return Datum(0);
}

Datum put_plan(FunctionCallInfo fcinfo, const Request &request)
{
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    const Stretch stretch = read_stretch(spi, request.relids);
    const Tiling tiling = tile_stretch(spi, stretch);
    put_pieces(sink, stretch, tiling.cells);
    put_notes(spi, sink, stretch);
    if (tiling.refusal)
        put_line(sink, "refusal", tiling.refusal->message, tiling.refusal->detail, tiling.refusal->hint);
    std::vector<Refusal> refusals = find_refusals(spi, stretch);
    if (std::optional<Refusal> refusal = refuse_for_disk(spi, stretch))
        refusals.push_back(*std::move(refusal));
    for (const Refusal &refusal : refusals)
        put_line(sink, "refusal", refusal.message, refusal.detail, refusal.hint);
    return Datum(0);
}

// A NOTICE where a step is done, and where it waits for others than before.
void run_to_end(pg::Spi &spi, const Request &request)
{
    constexpr double wait_ms = 100;
    std::string waited_for;
    for (bool more = true; more;) {
        std::optional<StepRow> row;
        const auto failure = pg::try_in_subtransaction([&] { row = begin_or_advance(spi, request); });
        if (failure)
            if (const std::optional<State> state = find_state(spi, request.relids.front()))
                store_error(spi, state->relid, *failure);
        spi.commit();
        if (failure)
            pg::raise(*failure);
        if (row->state != "under way" && (!row->is_waiting || row->message != waited_for))
            notice(*row);
        waited_for = row->is_waiting ? row->message : "";
        rest(row->is_waiting ? wait_ms : rest_after(*row));
        more = row->more;
    }
}

Datum run_request(FunctionCallInfo fcinfo, const Request &request, const char *what)
{
    for (const Oid relid : request.relids)
        pg::require_owner(relid);
    pg::require_read_committed(what);
    pg::Spi spi(fcinfo);
    run_to_end(spi, request);
    return Datum(0);
}

Wishes wishes_of(const pg::Arguments &args, bool in_background, int n)
{
    return {in_background, DatumGetBool(args.required(n, "drop_sources"))};
}

} // namespace

// privacy_scan.plan_split(partition regclass): rows of the pieces it would fall into, of what to know and of
// every reason why not; takes no lock but for reading. VOLATILE (sizes). Errors: 22004, 42P01, 42501, 42809
// no partition or DEFAULT, 42704 the relation is not managed.
PS_FUNCTION(ps_plan_split)
{
    return put_plan(fcinfo, split_of(pg::Arguments(fcinfo)));
}

// privacy_scan.plan_merge(partitions regclass[]): the same for adjacent partitions that would become one.
// VOLATILE. Errors: those of plan_split(), 22023 fewer than two, of several sets, not adjacent.
PS_FUNCTION(ps_plan_merge)
{
    return put_plan(fcinfo, merge_of(pg::Arguments(fcinfo)));
}

// privacy_scan.split_partition(partition regclass, background boolean, drop_sources boolean): begins the
// split or does its next step, in the caller's transaction; a row of what was done. background: begins it,
// and the set's job does the rest. drop_sources: the old partition is dropped in the end. VOLATILE. Errors:
// those of plan_split(); 0A000 a reason why not, 22023 nothing to split, 55000 what it rests on has changed,
// 55006 part of another split or merge, 55P03 a lock that could not be had, 25001, 25006.
PS_WRITING_FUNCTION(ps_split_partition)
{
    const pg::Arguments args(fcinfo);
    Request request = split_of(args);
    request.wishes = wishes_of(args, DatumGetBool(args.required(1, "background")), 2);
    return do_step(fcinfo, request, "split_partition()");
}

// privacy_scan.merge_partitions(partitions regclass[], background boolean, drop_sources boolean): the same
// for adjacent partitions that become one. VOLATILE. Errors: those of plan_merge() and split_partition().
PS_WRITING_FUNCTION(ps_merge_partitions)
{
    const pg::Arguments args(fcinfo);
    Request request = merge_of(args);
    request.wishes = wishes_of(args, DatumGetBool(args.required(1, "background")), 2);
    return do_step(fcinfo, request, "merge_partitions()");
}

// CALL privacy_scan.run_split(partition regclass, drop_sources boolean): step after step to the end, a
// transaction each; a NOTICE per step. Waits for older transactions without holding anything. A step that
// fails is kept in the view splits, and raised. Errors as split_partition(), 2D000 inside a transaction
// block.
PS_WRITING_FUNCTION(ps_run_split)
{
    const pg::Arguments args(fcinfo);
    Request request = split_of(args);
    request.wishes = wishes_of(args, false, 1);
    return run_request(fcinfo, request, "run_split()");
}

// CALL privacy_scan.run_merge(partitions regclass[], drop_sources boolean): the same for a merge. Errors as
// merge_partitions(), 2D000.
PS_WRITING_FUNCTION(ps_run_merge)
{
    const pg::Arguments args(fcinfo);
    Request request = merge_of(args);
    request.wishes = wishes_of(args, false, 1);
    return run_request(fcinfo, request, "run_merge()");
}

// privacy_scan.cancel_split(partition regclass): drops what was made, and forgets the split, or the merge
// that the partition takes part in. Returns true. VOLATILE. Errors: 42704 not being split, 55000 after the
// switch, 55P03.
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
