// Drawing plans, and their ledger. See plan_store.hpp.
#include "pg/postgres.hpp"

#include "retention/plan_store.hpp"

#include "pg/ident.hpp"
#include "retention/retention_plan.hpp"

namespace privacy_scan::retention
{

namespace
{

// $1 the relation: what it is a partition of, and what it is.
constexpr const char *about =
    "SELECT i.inhparent::oid, md5(concat_ws(';', c.oid, c.relkind,"
    "  pg_get_expr(c.relpartbound, c.oid),"
    "  (SELECT string_agg(concat_ws(' ', a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull,"
    "    a.attgenerated), ',' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a"
    "   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),"
    "  (SELECT string_agg(pg_get_constraintdef(k.oid), ',' ORDER BY k.conname) FROM pg_catalog.pg_constraint "
    "k"
    "   WHERE k.conrelid = c.oid AND k.contype = 'f')))"
    " FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid AND "
    "c.relispartition WHERE c.oid = $1";

PlannedAction planned(pg::Spi &spi, const ActionRow &row)
{
    pg::Rows known = spi.run(about, {pg::oid_param(row.relid)});
    const std::string name = pg::qualified_name(row.relid);
    return {name,         known.is_null(0, 1) ? name : pg::qualified_name(known.oid(0, 1)),
            row.action,   row.target,
            row.rows,     row.bytes,
            row.key_from, row.key_to,
            row.reason,   known.text(0, 2)};
}

// As it stands in the table of policies.
std::string policy_in_words(pg::Spi &spi, Oid root)
{
    pg::CatalogScope scope;
    return spi
        .run(
            "SELECT concat_ws(', ', 'keep ' || keep, 'by ' || quote_ident(key_column), 'where ' || condition,"
            "  'as ' || key_kind, 'archive ' || archive, 'in ' || quote_ident(archive_schema),"
            "  'remove after ' || remove_after, 'grace ' || grace)"
            " FROM privacy_scan.retention_rules WHERE root = $1",
            {pg::regclass_param(root)})
        .text(0, 1);
}

std::string ids_of(const std::vector<Hold> &holds)
{
    std::string ids;
    for (const Hold &hold : holds)
        ids += (ids.empty() ? "" : ", ") + std::to_string(hold.id);
    return ids;
}

} // namespace

MadePlan draw_plan(pg::Spi &spi, const Work &work)
{
    MadePlan plan{
        0, work.policy.root, work.at, policy_in_words(spi, work.policy.root), ids_of(work.policy.holds), {},
        {}};
    const std::vector<ActionRow> rows = plan_rows(spi, work);
    pg::OwnerScope owner(work.family.root().table.owner);
    plan.roots =
        spi.run(work.sql.digest_expired(), {pg::datum_param(work.cutoff.type, work.cutoff.value)}).text(0, 1);
    for (const ActionRow &row : rows)
        plan.actions.push_back(planned(spi, row));
    return plan;
}

namespace
{

void store_action(pg::Spi &spi, std::int64_t id, const PlannedAction &action)
{
    spi.run("INSERT INTO privacy_scan.plan_action_list (plan, relation, member, action, target, rows, bytes,"
            " key_from, key_to, reason, shape) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            {pg::int8_param(id), pg::text_param(action.relation), pg::text_param(action.member),
             pg::text_param(action.action), pg::text_param(action.target), pg::int8_param(action.rows),
             pg::int8_param(action.bytes), pg::text_param(action.key_from), pg::text_param(action.key_to),
             pg::text_param(action.reason), pg::text_param(action.shape)});
}

} // namespace

std::int64_t store_plan(pg::Spi &spi, const Work &work, const MadePlan &plan, Datum valid)
{
    const std::string maker = pg::role_name(GetUserId());
    pg::CatalogScope scope;
    spi.run(
        "DELETE FROM privacy_scan.plan_ledger WHERE valid_until < clock_timestamp() - interval '30 days'");
    pg::Rows row =
        spi.run("INSERT INTO privacy_scan.plan_ledger (root, root_name, made_by, at, cutoff, valid_until, "
                "policy, holds, "
                "roots)"
                " VALUES ($1, $2, $3, $4, $5, clock_timestamp() + $6, $7, $8, $9) RETURNING id",
                {pg::regclass_param(plan.root), pg::text_param(work.family.root().name),
                 pg::text_param(maker), pg::timestamptz_param(plan.at),
                 pg::timestamptz_param(work.cutoff.instant), pg::datum_param(INTERVALOID, valid),
                 pg::text_param(plan.policy), pg::text_param(plan.holds), pg::text_param(plan.roots)});
    const std::int64_t id = row.int8(0, 1);
    for (const PlannedAction &action : plan.actions)
        store_action(spi, id, action);
    return id;
}

namespace
{

[[noreturn]] void refuse(std::int64_t id, const std::string &why)
{
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "plan " + std::to_string(id) + " " + why, {},
             "Make a new plan: privacy_scan.make_plan().");
}

std::vector<PlannedAction> actions_of(pg::Spi &spi, std::int64_t id)
{
    pg::Rows rows =
        spi.run("SELECT relation, member, action, target, rows, bytes, key_from, key_to, reason, shape"
                " FROM privacy_scan.plan_action_list WHERE plan = $1 ORDER BY place",
                {pg::int8_param(id)});
    std::vector<PlannedAction> actions;
    for (std::size_t row = 0; row < rows.size(); ++row)
        actions.push_back({rows.text(row, 1), rows.text(row, 2), rows.text(row, 3), rows.text(row, 4),
                           rows.int8(row, 5), rows.int8(row, 6), rows.text(row, 7), rows.text(row, 8),
                           rows.text(row, 9), rows.text(row, 10)});
    return actions;
}

struct ListedPlan {
    MadePlan plan;
    std::string state;
    bool is_over;
};

ListedPlan read_plan(pg::Spi &spi, std::int64_t id)
{
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT root::oid, at, policy, holds, roots, state, valid_until < clock_timestamp()"
                " FROM privacy_scan.plan_ledger WHERE id = $1",
                {pg::int8_param(id)});
    if (rows.empty())
        pg::fail(ERRCODE_UNDEFINED_OBJECT, "there is no plan " + std::to_string(id), {},
                 "The view privacy_scan.retention_plans shows them.");
    return {{id, rows.oid(0, 1), rows.int8(0, 2), rows.text(0, 3), rows.text(0, 4), rows.text(0, 5),
             actions_of(spi, id)},
            rows.text(0, 6),
            rows.boolean(0, 7)};
}

} // namespace

MadePlan require_plan(pg::Spi &spi, std::int64_t id)
{
    ListedPlan listed = read_plan(spi, id);
    pg::require_owner(listed.plan.root);
    if (listed.state == "applied")
        refuse(id, "was carried out already");
    if (listed.state != "made")
        refuse(id, "was begun already, and not carried out as a whole");
    if (listed.is_over)
        refuse(id, "is out of date");
    return std::move(listed.plan);
}

void require_fits(pg::Spi &spi, const Work &work, const MadePlan &plan)
{
    constexpr std::size_t most_named = 10;
    const std::vector<std::string> changes = differences(plan, draw_plan(spi, work));
    if (changes.empty())
        return;
    std::string detail;
    for (std::size_t i = 0; i < std::min(changes.size(), most_named); ++i)
        detail += (i ? " " : "") + changes[i];
    if (changes.size() > most_named)
        detail += " And " + std::to_string(changes.size() - most_named) + " changes more.";
    pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
             "plan " + std::to_string(plan.id) + " does not fit any more", detail,
             "Nothing was done. Make a new plan, look at it, and apply that.");
}

void require_same_policy(pg::Spi &spi, const MadePlan &plan)
{
    if (policy_in_words(spi, plan.root) != plan.policy)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "plan " + std::to_string(plan.id) + " does not fit any more",
                 "The policy was changed meanwhile.",
                 "Nothing was done. Make a new plan, look at it, and apply that.");
}

void begin_plan(pg::Spi &spi, std::int64_t id)
{
    const std::string caller = pg::role_name(GetUserId());
    pg::CatalogScope scope;
    if (spi.run("UPDATE privacy_scan.plan_ledger SET state = 'applying', applied_at = clock_timestamp(),"
                " applied_by = $2 WHERE id = $1 AND state = 'made'",
                {pg::int8_param(id), pg::text_param(caller)})
            .affected() == 0)
        refuse(id, "was begun by another session");
}

void end_plan(pg::Spi &spi, std::int64_t id, const std::optional<pg::ErrorText> &failure, bool has_begun)
{
    const char *state = !failure ? "applied" : has_begun ? "stopped" : "made";
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.plan_ledger SET state = $2, ended_at = clock_timestamp(), detail = $3"
            " WHERE id = $1",
            {pg::int8_param(id), pg::text_param(state),
             pg::text_or_null(failure ? failure->message : std::string())});
}

} // namespace privacy_scan::retention
