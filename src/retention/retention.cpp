// The room's SQL functions. Each checks its arguments and the caller's rights before it takes a lock.
#include "pg/postgres.hpp"

#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/ident.hpp"
#include "pg/standby.hpp"
#include "retention/retention_run.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <catalog/catalog.h>
#include <catalog/namespace.h>
#include <utils/timestamp.h>
}

using namespace privacy_scan;
using namespace privacy_scan::retention;

namespace
{

std::int64_t instant_argument(const pg::Arguments &args, int n)
{
    const std::int64_t at = DatumGetTimestampTz(args.required(n, "at"));
    if (TIMESTAMP_NOT_FINITE(at))
        pg::fail(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "argument \"at\" must be finite");
    return at;
}

std::int64_t max_rows_argument(const pg::Arguments &args, int n)
{
    if (args.is_null(n))
        return settings::retention_batch_rows();
    const std::int64_t rows = DatumGetInt64(args.datum(n));
    if (rows < 1)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"max_rows\" must be at least 1");
    return rows;
}

void put_all(FunctionCallInfo fcinfo, const std::vector<ActionRow> &rows)
{
    pg::RowSink sink(fcinfo);
    for (const ActionRow &row : rows)
        put(sink, row);
}

void refuse_reserved(const std::string &schema)
{
    const char *name = schema.c_str();
    if (pg::guarded([=] { return IsReservedName(name); }))
        pg::fail(ERRCODE_RESERVED_NAME, "unacceptable schema name \"" + schema + "\"",
                 "The prefix \"pg_\" is reserved for system schemas.");
}

Datum interval_of_days(std::int32_t days)
{
    return pg::guarded([=] {
        auto *interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
        interval->day = days;
        return IntervalPGetDatum(interval);
    });
}

std::string interval_in_words(Datum interval)
{
    return pg::guarded([=] { return DatumGetCString(DirectFunctionCall1(interval_out, interval)); });
}

std::string destination_in_words(const Family &family, const Policy &policy)
{
    if (policy.discards())
        return "discarded, nothing of it being kept";
    const std::string archive = "archived to " + archive_name(family.root(), policy.archive_schema);
    if (policy.detaches())
        return archive + ", or detached, and dropped " + interval_in_words(*policy.grace) + " later";
    return archive + (policy.makes_files() ? " and from there to files" : "");
}

std::string in_words(const Family &family, const Policy &policy)
{
    const std::string interval = interval_in_words(policy.keep);
    const std::size_t others = family.members.size() - 1;
    return family.root().name + " is kept for " + interval + " by " + pg::quote(policy.key) +
           (policy.condition.empty() ? "" : ", where " + policy.condition) + ", then " +
           destination_in_words(family, policy) +
           (others == 0   ? ""
            : others == 1 ? ", together with the relation that refers to it"
                          : ", together with " + std::to_string(others) + " relations that refer to it");
}

// What becomes of what has expired.
void set_destination(Policy &policy, const std::string &archive, bool is_confirmed)
{
    policy.archive = archive;
    if (archive != "table" && archive != "file" && archive != "detach" && archive != "discard")
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "unknown kind of archive \"" + archive + "\"", {},
                 "The kinds are 'table', 'file', 'detach' and 'discard'.");
    if (policy.discards() && !is_confirmed)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "archive => 'discard' needs confirm => true",
                 "Whatever expires would be gone for good.",
                 "If that is meant, say confirm => true as well.");
}

// When the archive tables go, of a policy whose do.
void set_end(Policy &policy, const std::string &remove_after, std::optional<Datum> grace)
{
    constexpr int default_grace_days = 30;
    policy.remove_after = policy.makes_files() && remove_after.empty() ? "confirmed" : remove_after;
    if (!policy.makes_files() && !remove_after.empty())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"remove_after\" is for archive => 'file'", {},
                 "With archive => 'detach' grace says when tables go; others stay.");
    if (policy.makes_files() && policy.remove_after != "confirmed" && policy.remove_after != "exported")
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE,
                 "unknown value of argument \"remove_after\": \"" + remove_after + "\"", {},
                 "It is 'confirmed', after confirm_archive(), or 'exported', once the file is proven.");
    if (grace && !policy.detaches())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"grace\" is for archive => 'detach'");
    policy.grace = grace;
    if (policy.detaches() && !grace)
        policy.grace = interval_of_days(default_grace_days);
}

std::string set_policy(Policy &policy)
{
    pg::Spi spi;
    const Family family = read_family(spi, policy.root);
    check_policy(spi, policy);
    store_policy(spi, policy);
    return in_words(family, policy);
}

} // namespace

// privacy_scan.set_retention(root regclass, keep interval, key name, condition text, archive text,
// archive_schema name, key_kind text, remove_after text, grace interval, confirm boolean) returns text: sets
// or replaces the policy of a root: rows whose key is older than keep (in UTC) and that meet the condition
// go, with all that refers to them, into archive tables; with archive 'file' these go on as files (see
// archive_file/), remove_after says when the tables go; with 'detach' they are dropped once grace (NULL: 30
// days) has passed; with 'discard', which needs confirm, nothing is kept. key_kind: of a key that is an id
// (NULL: that of the root's partitions, if they are managed by it); rows whose id is none of the kind never
// go. Returns the policy in words. VOLATILE. Errors: 22004 a NULL, 22023 keep, archive, remove_after, grace,
// confirm or kind, 42501 not the owner of the whole family, 42703, 42804 and 42P22 key, 42939 archive_schema,
// 0A000 foreign keys in a circle, 42809 a root of another kind, and for the condition 42601, 42804, 42P17 and
// the parser's.
PS_WRITING_FUNCTION(ps_set_retention)
{
    pg::Arguments args(fcinfo);
    Policy policy;
    policy.root = args.relation(0, "root");
    policy.keep = args.required(1, "keep");
    policy.key = NameStr(*DatumGetName(args.required(2, "key")));
    policy.condition = args.text_or_empty(3);
    const std::string archive = args.text(4, "archive");
    if (!args.is_null(5))
        policy.archive_schema = NameStr(*DatumGetName(args.datum(5)));
    policy.key_kind = args.text_or_empty(6);
    refuse_reserved(policy.archive_schema);
    pg::require_owner(policy.root);
    set_destination(policy, archive, DatumGetBool(args.required(9, "confirm")));
    set_end(policy, args.text_or_empty(7),
            args.is_null(8) ? std::nullopt : std::optional<Datum>(args.datum(8)));
    return pg::text_param(set_policy(policy))
        .value; // made where SPI's memory isn't: it outlives the connection
}

// privacy_scan.drop_retention(root regclass) returns boolean: forgets the policy; archives and ledger stay.
// True where there was one. VOLATILE. Errors: 22004, 42501.
PS_WRITING_FUNCTION(ps_drop_retention)
{
    pg::Arguments args(fcinfo);
    const Oid root = args.relation(0, "root");
    pg::require_owner(root);
    pg::Spi spi;
    return BoolGetDatum(delete_policy(spi, root));
}

// privacy_scan.plan_retention(root regclass, at timestamptz): what a run at that instant would do: a row a
// relation with rows (counted), bytes (estimated), locks, range of the root's keys and reason. Changes
// nothing. VOLATILE, since it runs the policy's condition as the owner. Errors: 22004, 22008, 42501, 42704.
PS_FUNCTION(ps_plan_retention)
{
    pg::Arguments args(fcinfo);
    const Oid root = args.relation(0, "root");
    const std::int64_t at = instant_argument(args, 1);
    pg::Spi spi;
    const Work work(spi, policy_of_caller(spi, root), at);
    std::vector<ActionRow> rows = plan_rows(spi, work);
    for (ActionRow &row : emptied_rows(spi, work))
        rows.push_back(std::move(row));
    put_all(fcinfo, rows);
    return Datum(0);
}

// privacy_scan.apply_retention(root regclass, at timestamptz, max_rows bigint, dry_run boolean): one batch of
// up to max_rows rows (NULL: privacy_scan.retention_batch_rows) in the caller's transaction, or, with
// dry_run, plan_retention(). VOLATILE. Errors as plan_retention(), 22023 max_rows or at in the future, 25001
// not READ COMMITTED, 55P03 where every family is busy, XX001 where an archive did not take its rows as they
// were.
PS_FUNCTION(ps_apply_retention)
{
    pg::Arguments args(fcinfo);
    const Oid root = args.relation(0, "root");
    const std::int64_t at = instant_argument(args, 1);
    const std::int64_t max_rows = max_rows_argument(args, 2);
    const bool dry_run = DatumGetBool(args.required(3, "dry_run"));
    if (!dry_run && pg::declined_on_standby(fcinfo))
        return Datum(0);
    pg::Spi spi;
    Work work(spi, policy_of_caller(spi, root), at);
    if (dry_run) {
        put_all(fcinfo, plan_rows(spi, work));
        return Datum(0);
    }
    refuse_future(at);
    Summary summary(work);
    const Batch batch = move_batch(spi, work, max_rows, true);
    summary.add(batch);
    if (batch.last && batch.roots > 0)
        analyze(spi, work, summary);
    put_all(fcinfo, summary.rows());
    return Datum(0);
}

namespace
{

// The root may be gone by now, which must not stop the others.
std::string name_of(Oid root)
{
    try {
        return pg::qualified_name(root);
    } catch (const pg::Error &) {
        return "relation with OID " + std::to_string(root);
    }
}

void warn_of(Oid root, const pg::ErrorText &failure)
{
    const std::string name = name_of(root);
    const char *relation = name.c_str(), *code = failure.sqlstate.c_str(), *message = failure.message.c_str();
    pg::guarded([=] {
        ereport(WARNING, (errmsg("retention of %s failed with SQLSTATE %s: %s", relation, code, message)));
    });
}

} // namespace

// CALL privacy_scan.run_retention(root regclass, at timestamptz, max_rows bigint, force boolean, confirm
// boolean): all that has expired, of one root or (NULL) of every policy that the caller owns: partitions that
// have expired as a whole, then batch by batch of about max_rows rows, a transaction each; a NOTICE a
// transaction. force and confirm: see retention_guard.hpp. What was committed stays, and the next run goes on
// from there. A root that fails does not stop the others: it is a WARNING, and the first failure is raised
// when all have had their turn, so that whoever runs it by the clock sees that there is something to look at.
// Errors as apply_retention(), 2D000 inside a transaction block, and 55000 where a guard stops it.
PS_WRITING_FUNCTION(ps_run_retention)
{
    pg::Arguments args(fcinfo);
    const std::int64_t at = instant_argument(args, 1);
    const std::int64_t max_rows = max_rows_argument(args, 2);
    const Said said{DatumGetBool(args.required(3, "force")), DatumGetBool(args.required(4, "confirm"))};
    refuse_future(at);
    pg::Spi spi(fcinfo);
    std::vector<Oid> roots = roots_with_policy(spi);
    if (!args.is_null(0)) {
        roots = {args.relation(0, "root")};
        pg::require_owner(roots.front());
    }
    std::optional<pg::ErrorText> first;
    for (Oid root : roots) {
        std::optional<RootRun> run;
        auto failure = run_to_end(spi, run, [&] { run.emplace(spi, root, at, max_rows, said); });
        if (!failure)
            continue;
        if (roots.size() > 1)
            warn_of(root, *failure);
        if (!first)
            first = failure;
    }
    if (first)
        pg::raise(*first);
    return Datum(0);
}

namespace
{

// "Scan" as the caller's search_path finds it.
Oid find_scan()
{
    const Oid relid = pg::guarded([] { return RelnameGetRelid("Scan"); });
    if (!OidIsValid(relid))
        pg::fail(ERRCODE_UNDEFINED_TABLE, "relation \"Scan\" does not exist",
                 "cleanup_old_scans() works on the relation \"Scan\" of the current search_path.",
                 "Set search_path, or use set_retention() and run_retention() for other relations.");
    return relid;
}

Policy scan_policy(pg::Spi &spi, Oid scan, std::int32_t days)
{
    Policy policy;
    if (auto stored = find_policy(spi, scan)) {
        if (stored->discards())
            pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                     "the policy of " + pg::qualified_name(scan) + " discards what expires",
                     "cleanup_old_scans() would discard by an age of its own, unasked.",
                     "CALL privacy_scan.run_retention(), or set the policy with another archive.");
        policy.archive_schema = stored->archive_schema;
        policy.archive = stored->archive;
        policy.grace = stored->grace;
    }
    policy.root = scan;
    policy.key = "createdAt";
    policy.keep = interval_of_days(days);
    // Means the same in every search_path.
    policy.condition =
        "status::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{done,failed}'::pg_catalog.text[])";
    check_policy(spi, policy);
    return policy;
}

std::int32_t days_argument(const pg::Arguments &args)
{
    const std::int32_t days = DatumGetInt32(args.required(0, "retention_days"));
    if (days < 1 || days > 36500)
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"retention_days\" must be between 1 and 36500",
                 {}, "It is the number of days that scans are kept; 365 is the default.");
    return days;
}

} // namespace

// privacy_scan.cleanup_old_scans(retention_days integer) returns integer: for a store with "Scan" on the
// caller's search_path: scans with status done or failed and "createdAt" older than that many days go, with
// all that refers to them ("Evidence", "Issue"), into their archives, in the caller's transaction. Returns
// the number of scans. VOLATILE. Errors: 22004, 22023 retention_days, 42P01 no "Scan", 55000 its policy discards, and those
// of apply_retention().
PS_WRITING_FUNCTION(ps_cleanup_old_scans)
{
    pg::Arguments args(fcinfo);
    const std::int32_t days = days_argument(args);
    const Oid scan = find_scan();
    pg::require_owner(scan);
    pg::Spi spi;
    Work work(spi, scan_policy(spi, scan, days), GetCurrentTimestamp());
    Summary summary(work);
    for (bool last = false; !last;) {
        const Batch batch = move_batch(spi, work, settings::retention_batch_rows(), false);
        last = batch.last;
        summary.add(batch);
    }
    const std::int64_t scans = summary.roots();
    if (scans > 0)
        analyze(spi, work, summary);
    return Int32GetDatum(static_cast<std::int32_t>(std::min<std::int64_t>(scans, INT32_MAX)));
}
