// The room's SQL functions. Each checks its arguments and the caller's rights before it takes a lock.
#include "pg/postgres.hpp"

#include "adopt/adopt_check.hpp"
#include "adopt/adopt_steps.hpp"
#include "adopt/adopt_undo.hpp"
#include "partition/id_value.hpp"
#include "pg/arguments.hpp"
#include "pg/clock.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/rowset.hpp"
#include "pg/standby.hpp"
#include "pg/subxact.hpp"
#include "pg/top_level.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <catalog/pg_class.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

using namespace privacy_scan;
using namespace privacy_scan::adopt;

namespace
{

// relation, key, every, premake, time_zone, default_partition, key_kind, unique_id: what is NULL is not asked
// for.
struct Wishes {
    Oid relid;
    KeyWish key;
    std::optional<partition::IntervalFields> every;
    std::optional<std::int32_t> premake;
    std::string time_zone;
    std::optional<bool> default_partition, unique_id;
};

Wishes wishes_of(FunctionCallInfo fcinfo)
{
    const pg::Arguments args(fcinfo);
    Wishes wishes{args.relation(0), {{}, args.text_or_empty(6)}, {}, {}, args.text_or_empty(4), {}, {}};
    if (!args.is_null(1))
        wishes.key.column = NameStr(*DatumGetName(args.datum(1)));
    if (!args.is_null(2)) {
        const Interval *every = DatumGetIntervalP(args.datum(2));
        wishes.every = partition::IntervalFields{every->month, every->day, every->time};
    }
    if (!args.is_null(3))
        wishes.premake = DatumGetInt32(args.datum(3));
    if (!args.is_null(5))
        wishes.default_partition = DatumGetBool(args.datum(5));
    if (!args.is_null(7))
        wishes.unique_id = DatumGetBool(args.datum(7));
    return wishes;
}

partition::Policy policy_of(const Wishes &wishes)
{
    partition::Policy policy;
    policy.relid = wishes.relid;
    policy.every = wishes.every.value_or(partition::IntervalFields{1, 0, 0});
    policy.premake = wishes.premake.value_or(policy.premake);
    policy.time_zone = wishes.time_zone.empty() ? policy.time_zone : wishes.time_zone;
    policy.default_partition = wishes.default_partition.value_or(policy.default_partition);
    return policy;
}

std::int64_t cutover_of(const Scheme &scheme)
{
    const std::optional<std::int64_t> cutover =
        choose_cutover(*scheme.grid, scheme.axis->axis_of_instant(GetCurrentTimestamp()));
    if (!cutover)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "partition interval is too long",
                 "No partition of that width lies within the years 1 to 9999.", "Take a shorter one.");
    return *cutover;
}

// What the catalog says, of ids also what the rows say, and what is asked for in vain.
std::vector<Refusal> all_refusals(pg::Spi &spi, const Candidate &candidate, const Scheme &scheme,
                                  std::int64_t cutover, const Wishes &wishes)
{
    std::vector<Refusal> refusals = find_refusals(spi, candidate, GetUserId());
    if (std::optional<Refusal> nothing = find_nothing_unique(candidate);
        nothing && wishes.unique_id.value_or(false))
        refusals.push_back(*nothing);
    if (std::optional<Refusal> misfits = find_misfits(spi, candidate, scheme, cutover))
        refusals.push_back(*misfits);
    return refusals;
}

// --- the plan --------------------------------------------------------------------------------------

using pg::cell;

void put_key(pg::RowSink &sink, const Candidate &candidate)
{
    const std::string kind = candidate.key_kind.empty() ? "" : ", ids of kind " + candidate.key_kind;
    sink.put({cell("key"), pg::null_cell(), cell(candidate.key), pg::null_cell(), pg::null_cell(),
              pg::null_cell(), cell("partition key " + pg::quote(candidate.key) + kind),
              cell(candidate.key_reason), pg::null_cell()});
}

void put_steps(pg::RowSink &sink, const std::vector<Step> &steps)
{
    std::int32_t number = 0;
    for (const Step &step : steps)
        sink.put({cell("step"),
                  {Int32GetDatum(++number), false},
                  cell(to_string(step.action)),
                  cell(step.sql),
                  cell(step.lock),
                  cell(step.seconds),
                  cell(step.is_top_level ? "a statement by itself, outside a transaction block" : ""),
                  cell("For the application: " + step.effect + "."),
                  pg::null_cell()});
}

void put_line(pg::RowSink &sink, const char *kind, const std::string &message, const std::string &detail,
              const std::string &hint)
{
    sink.put({cell(kind), pg::null_cell(), pg::null_cell(), pg::null_cell(), pg::null_cell(), pg::null_cell(),
              cell(message), cell(detail), cell(hint)});
}

// $1 the table, $2 the key's number, $3 whether it is an id, $4 whether the old key stays unique. What the
// application may notice after the switch.
constexpr const char *changes =
    "SELECT v.message, v.detail, v.hint FROM (VALUES"
    " (EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = $1 AND indisprimary"
    "   AND NOT $2 = ANY (indkey::pg_catalog.int2[])),"
    "  'the primary key gets the partition key as its last column',"
    "  CASE WHEN $4 THEN 'INSERT .. ON CONFLICT over the old columns fails.' ELSE"
    "   'INSERT .. ON CONFLICT over the old columns fails, and they alone are no longer proven unique.' END,"
    "  'Name the partition key in ON CONFLICT, too.'),"
    " ($4 AND EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = $1 AND indisprimary"
    "   AND NOT $2 = ANY (indkey::pg_catalog.int2[])),"
    "  'the old columns of the primary key stay unique across partitions',"
    "  'At the end of each statement a trigger looks for every new row''s key in each partition, by its "
    "index: "
    "UNIQUE_COST',"
    "  'privacy_scan.drop_unique_check() ends it, privacy_scan.add_unique_check() brings it back.'),"
    " (EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = $1),"
    "  'look-ups that do not name the partition key probe each partition', NULL, 'Name the key where it is "
    "known.'),"
    " ($3, 'queries by a time alone look through all partitions',"
    "  'A row is in the partition of its id.',"
    "  'Call privacy_scan.add_time_checks() on the set from time to time, and closed partitions are left "
    "out.'),"
    " ($3, 'ids that do not carry time go where they sort: to a partition, or to DEFAULT', NULL, NULL),"
    " (EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE confrelid = $1 AND contype = 'f'),"
    "  'foreign keys to it are made anew in the switch, NOT VALID until the steps after it',"
    "  'They are enforced from the switch on, and the rows before it were under the old ones.', NULL),"
    " (EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum = $2 AND NOT attnotnull),"
    "  'the partition key is NOT NULL from the first strong lock on', NULL, NULL),"
    " (EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgtype & 1 = 1),"
    "  'row triggers run on the partitions', 'TG_TABLE_NAME and TG_RELID are those of the partition.', NULL),"
    " (EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attidentity <> ''),"
    "  'the sequence of the identity column is made anew and goes on where it stood',"
    "  'A session''s currval() is unknown until its next row.', NULL),"
    " (EXISTS (SELECT FROM pg_catalog.pg_publication_rel WHERE prrelid = $1),"
    "  'subscribers have to be told', NULL, 'Run ALTER SUBSCRIPTION .. REFRESH PUBLICATION WITH (copy_data = "
    "false) there.'))"
    " AS v (applies, message, detail, hint) WHERE v.applies";

void put_changes(pg::Spi &spi, pg::RowSink &sink, const Candidate &candidate, bool unique_id)
{
    pg::CatalogPath path;
    pg::Rows rows =
        spi.run(changes, {pg::oid_param(candidate.table.relid),
                          pg::datum_param(INT2OID, Int16GetDatum(candidate.key_number)),
                          pg::bool_param(!candidate.key_kind.empty()), pg::bool_param(unique_id)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        put_line(sink, "change", rows.text(row, 1), rows.text(row, 2), rows.text(row, 3));
}

// --- steps -----------------------------------------------------------------------------------------

void put_rows(pg::RowSink &sink, const std::vector<StepRow> &rows)
{
    for (const StepRow &row : rows)
        sink.put({{Int32GetDatum(row.number), false},
                  cell(row.action),
                  cell(row.state),
                  cell(row.sql),
                  row.ms ? cell(*row.ms) : pg::null_cell(),
                  cell(row.message)});
}

bool is_same_kind(const Adoption &adoption, const std::string &kind)
{
    if (kind.empty())
        return true;
    const Oid relid = adoption.relid;
    const AttrNumber number = adoption.key_number;
    const Oid type = pg::guarded([=] { return get_atttype(relid, number); });
    return partition::open_key_kind(kind, type)->name() == adoption.policy.key_kind;
}

void require_same(const Adoption &adoption, const Wishes &wishes)
{
    const partition::Policy &policy = adoption.policy;
    const Oid relid = adoption.relid;
    const AttrNumber number = adoption.key_number;
    const char *name = pg::guarded([=] { return get_attname(relid, number, true); });
    const bool same_every = !wishes.every || (wishes.every->months == policy.every->months &&
                                              wishes.every->days == policy.every->days &&
                                              wishes.every->usecs == policy.every->usecs);
    if (same_every && (wishes.key.column.empty() || (name && wishes.key.column == name)) &&
        is_same_kind(adoption, wishes.key.kind) &&
        wishes.premake.value_or(policy.premake) == policy.premake &&
        (wishes.time_zone.empty() || wishes.time_zone == policy.time_zone) &&
        wishes.default_partition.value_or(policy.default_partition) == policy.default_partition &&
        wishes.unique_id.value_or(adoption.unique_id) == adoption.unique_id)
        return;
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
             "relation \"" + pg::relation_name(wishes.relid) + "\" is being adopted with other settings",
             "The view privacy_scan.adoptions shows them.",
             "Leave the arguments out to go on, or call privacy_scan.cancel_adoption() first.");
}

void register_adoption(pg::Spi &spi, const Wishes &wishes)
{
    const pg::OwnedTable table = pg::require_owner(wishes.relid);
    const Candidate candidate = read_candidate(spi, table, wishes.key);
    const Scheme scheme = make_scheme(candidate, policy_of(wishes));
    const std::int64_t cutover = cutover_of(scheme);
    refuse_if_any("cannot adopt relation \"" + candidate.relname + "\"",
                  all_refusals(spi, candidate, scheme, cutover, wishes));
    Adoption adoption;
    adoption.relid = wishes.relid;
    adoption.key_number = candidate.key_number;
    adoption.policy = scheme.policy;
    adoption.cutover = scheme.axis->instant_of_axis(cutover);
    adoption.unique_id = wishes.unique_id.value_or(false);
    insert_adoption(spi, adoption);
}

void notice(const StepRow &row)
{
    const char *action = row.action.c_str();
    if (row.state == "done now") {
        const double ms = row.ms.value_or(0);
        pg::guarded([=] { ereport(NOTICE, (errmsg("%s: done in %.0f ms", action, ms))); });
    } else if (row.state == "yours") {
        const char *sql = row.sql.c_str();
        pg::guarded([=] {
            ereport(NOTICE, (errmsg("%s: a statement for you to run", action), errdetail("%s;", sql),
                             errhint("No worker slot is free for it. Run it by itself, then call "
                                     "run_adoption() again.")));
        });
    }
}

// Commits. What a step failed with is kept in the view, and raised.
void end_step(pg::Spi &spi, Oid table, const std::optional<pg::ErrorText> &failure)
{
    if (failure && find_adoption(spi, table))
        store_error(spi, table, *failure);
    spi.commit();
    if (failure)
        pg::raise(*failure);
}

// Directly after a commit: runs what must be a statement by itself, in a process of its own. False where none
// can be had.
bool run_by_itself(pg::Spi &spi, const pg::OwnedTable &table, StepRow &row)
{
    const TimestampTz begun = GetCurrentTimestamp();
    std::optional<pg::ErrorText> failure;
    try {
        pg::run_top_level(table, row.sql, settings::concurrent_lock_timeout_ms());
        row.state = "done now";
        row.ms = pg::ms_since(begun);
    } catch (const pg::Error &error) {
        if (error.sqlstate != ERRCODE_INSUFFICIENT_RESOURCES)
            failure = pg::text_of(error);
    }
    end_step(spi, table.relid, failure);
    return row.state == "done now";
}

} // namespace

// privacy_scan.plan_adoption(relation regclass, key name, every interval, premake int, time_zone text,
// default_partition boolean, key_kind text, unique_id boolean): rows of what adopt_table() would do and of
// every reason why not; takes no lock. VOLATILE (sizes, samples, clock). Errors: 22004, 42501 not the owner,
// 42809 not an ordinary table, 42703 and 42P16 key, 22023 interval, premake, zone, kind.
PS_FUNCTION(ps_plan_adoption)
{
    const Wishes wishes = wishes_of(fcinfo);
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    const pg::OwnedTable table = pg::require_owner(wishes.relid);
    const Candidate candidate = read_candidate(spi, table, wishes.key);
    const Scheme scheme = make_scheme(candidate, policy_of(wishes));
    const std::int64_t cutover = cutover_of(scheme);
    put_key(sink, candidate);
    put_steps(sink, steps_of(candidate, scheme, read_progress(spi, candidate, scheme.axis->text_of(cutover)),
                             cutover, read_validations(spi, wishes.relid)));
    put_changes(spi, sink, candidate, wishes.unique_id.value_or(false));
    for (const Refusal &refusal : all_refusals(spi, candidate, scheme, cutover, wishes))
        put_line(sink, "refusal", refusal.message, refusal.detail, refusal.hint);
    return Datum(0);
}

// privacy_scan.adopt_table(...): the same arguments. Registers the adoption (NULL: 1 month, 4, UTC, a DEFAULT
// partition, unique_id false) or goes on with it: one step a call, in the caller's transaction. Returns all
// steps. VOLATILE. Errors: those of plan_adoption(); 0A000 a reason why not, 55000 other settings than
// before, 23514 rows that don't fit, 55P03 a lock that could not be had, 55006 something changed during the
// switch.
PS_WRITING_FUNCTION(ps_adopt_table)
{
    const Wishes wishes = wishes_of(fcinfo);
    pg::require_owner(wishes.relid);
    pg::require_read_committed("adopt_table()");
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    const std::optional<Adoption> adoption = find_adoption(spi, wishes.relid);
    if (adoption)
        require_same(*adoption, wishes);
    else
        register_adoption(spi, wishes);
    bool more = false;
    put_rows(sink, advance(spi, wishes.relid, more));
    return Datum(0);
}

// CALL privacy_scan.run_adoption(relation regclass): step after step of a registered adoption, a transaction
// each, as far as it can, the index's build by a process of its own; a NOTICE per step. A step that fails is
// kept in the view adoptions, and raised. Errors as adopt_table(), 42704 not registered, 2D000 inside a
// transaction block.
PS_WRITING_FUNCTION(ps_run_adoption)
{
    const pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0);
    pg::require_owner(relid);
    pg::require_read_committed("run_adoption()");
    pg::Spi spi(fcinfo);
    const Oid relid_of_table = require_adoption(spi, relid).relid;
    for (bool more = true; more;) {
        const pg::OwnedTable table = pg::require_owner(relid_of_table);
        std::vector<StepRow> rows;
        end_step(spi, table.relid,
                 pg::try_in_subtransaction([&] { rows = advance(spi, table.relid, more); }));
        for (StepRow &row : rows) {
            if (row.state == "yours")
                more = run_by_itself(spi, table, row);
            notice(row);
        }
    }
    return Datum(0);
}

// privacy_scan.cancel_adoption(relation regclass): drops what was prepared, and forgets the adoption. A row
// per statement. VOLATILE. Errors: 42704 not registered, 55000 after the switch, 55P03.
PS_WRITING_FUNCTION(ps_cancel_adoption)
{
    const pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0);
    pg::require_owner(relid);
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    put_rows(sink, cancel(spi, relid));
    return Datum(0);
}

// privacy_scan.undo_adoption(relation regclass, max_rows bigint): the way back; a step a call, as with
// adopt_table(). VOLATILE. Errors: 22023 max_rows, 42704 not registered, 55000 not adopted yet or split
// since, 54000 too many rows, 0A000 a reason why not, 55006, 55P03.
PS_WRITING_FUNCTION(ps_undo_adoption)
{
    const pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0);
    const std::int64_t max_rows = DatumGetInt64(args.required(1, "max_rows"));
    if (max_rows < 0)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"max_rows\" must not be negative");
    pg::require_owner(relid);
    pg::require_read_committed("undo_adoption()");
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    put_rows(sink, undo(spi, relid, max_rows));
    return Datum(0);
}

// privacy_scan.adoption_progress(relation regclass): the next step, how many are done, of how many. STABLE.
// Errors: 42501, 42704.
PS_FUNCTION(ps_adoption_progress)
{
    const pg::Arguments args(fcinfo);
    const Oid relid = args.relation(0);
    pg::RowSink sink(fcinfo);
    pg::Spi spi;
    pg::require_owner(relid);
    const Standing standing = standing_of(spi, relid);
    sink.put(
        {cell(standing.step), {Int32GetDatum(standing.done), false}, {Int32GetDatum(standing.total), false}});
    return Datum(0);
}
