// See adopt_steps.hpp.
#include "pg/postgres.hpp"

#include "adopt/adopt_steps.hpp"

#include "adopt/adopt_check.hpp"
#include "adopt/adopt_switch.hpp"
#include "pg/clock.hpp"
#include "pg/ident.hpp"

extern "C" {
#include <utils/builtins.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::adopt
{

const char *to_string(Action action)
{
    switch (action) {
    case Action::build_index:
        return "build index";
    case Action::limit_key:
        return "limit key";
    case Action::validate_limit:
        return "validate limit";
    case Action::switch_over:
        return "switch";
    default:
        return "validate foreign key";
    }
}

namespace
{

std::string index_name(const Candidate &candidate)
{
    return index_prefix + std::to_string(candidate.table.relid);
}

Step index_step(const Candidate &candidate, const Progress &progress)
{
    std::string columns;
    for (const std::string &column : candidate.primary_key)
        columns += pg::quote(column) + ", ";
    return {Action::build_index,
            progress.index_valid,
            true,
            "CREATE UNIQUE INDEX CONCURRENTLY " + pg::quote(index_name(candidate)) + " ON " + candidate.name +
                " (" + columns + pg::quote(candidate.key) + ")",
            "SHARE UPDATE EXCLUSIVE: reads and writes go on",
            seconds_to_index(candidate.heap_bytes),
            "none"};
}

std::string limit_of(const Candidate &candidate, const Scheme &scheme, std::int64_t cutover)
{
    const Oid type = candidate.key_type;
    const std::string type_name = pg::guarded([=] { return format_type_be_qualified(type); });
    return pg::quote(candidate.key) + " IS NOT NULL AND " + pg::quote(candidate.key) + " < " +
           pg::quote_text(scheme.axis->text_of(cutover)) + "::" + type_name;
}

} // namespace

std::vector<Step> steps_of(const Candidate &candidate, const Scheme &scheme, const Progress &progress,
                           std::int64_t cutover, const std::vector<Validation> &validations)
{
    std::vector<Step> steps;
    if (candidate.needs_index())
        steps.push_back(index_step(candidate, progress));
    const std::string table = "ALTER TABLE " + candidate.name;
    steps.push_back({Action::limit_key, progress.check_exists, false,
                     table + " ADD CONSTRAINT " + check_name + " CHECK (" +
                         limit_of(candidate, scheme, cutover) + ") NOT VALID",
                     "ACCESS EXCLUSIVE for a moment", 0,
                     "until the switch, rows with " + pg::quote(candidate.key) + " NULL or from " +
                         scheme.axis->text_of(cutover) + " on are refused"});
    steps.push_back({Action::validate_limit, progress.check_valid, false,
                     table + " VALIDATE CONSTRAINT " + check_name,
                     "SHARE UPDATE EXCLUSIVE: reads and writes go on",
                     seconds_to_validate(candidate.heap_bytes), "none"});
    steps.push_back({Action::switch_over, false, false, switch_in_words(candidate, scheme, cutover),
                     std::string("ACCESS EXCLUSIVE for a moment, ") +
                         (validations.empty() ? "" : "also on tables whose foreign keys refer to it, ") +
                         "and SHARE ROW EXCLUSIVE on what foreign keys refer to",
                     0.02, "see the lines of kind change"});
    for (const Validation &validation : validations)
        steps.push_back({Action::validate_foreign_key, false, false, validation.statement.sql,
                         "SHARE UPDATE EXCLUSIVE: reads and writes go on",
                         seconds_to_validate_key(validation.heap_bytes), "none"});
    return steps;
}

namespace
{

// Everything about an adoption under way, read anew for each step.
struct Work {
    Adoption adoption;
    Candidate candidate;
    Scheme scheme;
    std::int64_t cutover; // on the axis
    Progress progress;
    std::vector<Step> steps;
};

std::string key_name(const Adoption &adoption)
{
    const Oid relid = adoption.relid;
    const AttrNumber number = adoption.key_number;
    // A dropped column keeps a name of sorts, but no type.
    const char *name = pg::guarded([=]() -> const char * {
        return OidIsValid(get_atttype(relid, number)) ? get_attname(relid, number, true) : nullptr;
    });
    if (!name)
        pg::fail(ERRCODE_UNDEFINED_COLUMN, "the key of the adoption does not exist any more", {},
                 "Call privacy_scan.cancel_adoption().");
    return name;
}

void read_steps(pg::Spi &spi, Work &work)
{
    work.progress = read_progress(spi, work.candidate, work.scheme.axis->text_of(work.cutover));
    work.steps = steps_of(work.candidate, work.scheme, work.progress, work.cutover,
                          read_validations(spi, work.adoption.relid));
}

Work read_work(pg::Spi &spi, const Adoption &adoption)
{
    Work work;
    work.adoption = adoption;
    work.candidate = read_candidate(spi, pg::require_owner(adoption.relid),
                                    {key_name(adoption), adoption.policy.key_kind});
    work.scheme = make_scheme(work.candidate, adoption.policy);
    work.cutover = work.scheme.axis->axis_of_instant(adoption.cutover);
    read_steps(spi, work);
    return work;
}

std::vector<StepRow> rows_of_switched(const Adoption &adoption, const std::vector<Validation> &validations)
{
    const Oid parent = adoption.parent;
    const bool exists = pg::guarded([=] { return get_rel_relkind(parent) != '\0'; });
    std::vector<StepRow> rows = {
        {1,
         to_string(Action::switch_over),
         "done",
         "",
         exists ? pg::qualified_name(parent) + " is a partition set" : "the partition set is gone",
         {}}};
    bool next = true;
    for (const Validation &validation : validations) {
        rows.push_back({static_cast<int>(rows.size()) + 1,
                        to_string(Action::validate_foreign_key),
                        validation.is_done ? "done"
                        : next             ? "next"
                                           : "waiting",
                        validation.statement.sql,
                        "",
                        {}});
        next &= validation.is_done;
    }
    return rows;
}

std::vector<StepRow> rows_of(const Work &work)
{
    std::vector<StepRow> rows;
    bool next = true;
    for (const Step &step : work.steps) {
        std::string state = "done";
        if (!step.is_done) {
            state = !next ? "waiting" : step.is_top_level ? "yours" : "next";
            next = false;
        }
        rows.push_back(
            {static_cast<int>(rows.size()) + 1,
             to_string(step.action),
             state,
             step.sql,
             state == "yours" ? "run it by itself, outside a transaction block, and call again" : "",
             {}});
    }
    return rows;
}

// Never null: the switch is never done while this is read.
const Step *next_step(const Work &work)
{
    for (const Step &step : work.steps)
        if (!step.is_done)
            return &step;
    return nullptr;
}

// A short strong lock, in tries, for one statement.
void run_locked(pg::Spi &spi, Oid relid, const std::string &sql)
{
    pg::OwnerScope owner(pg::require_owner(relid).owner);
    pg::run_in_tries(spi, relid, sql);
}

// What an interrupted build left is in the way of the next. While one is going on, its lock keeps us out.
void drop_invalid_index(pg::Spi &spi, const Work &work)
{
    if (work.progress.index.empty() || work.progress.index_valid)
        return;
    run_locked(spi, work.adoption.relid,
               "DROP INDEX " + pg::quote(work.candidate.schema, work.progress.index));
}

void drop_limit(pg::Spi &spi, const Work &work)
{
    run_locked(spi, work.adoption.relid,
               "ALTER TABLE " + work.candidate.name + " DROP CONSTRAINT " + check_name);
}

// The bound must not come so near that rows of the present would be refused.
void renew_cutover(pg::Spi &spi, Work &work, std::int64_t now)
{
    const std::int64_t clock = work.scheme.axis->axis_of_instant(now);
    const std::optional<std::int64_t> cutover = choose_cutover(*work.scheme.grid, clock);
    if (!cutover || work.cutover >= clock + least_lead / 2)
        return;
    if (work.progress.check_exists)
        drop_limit(spi, work);
    work.cutover = *cutover;
    work.adoption.cutover = work.scheme.axis->instant_of_axis(*cutover);
    store_cutover(spi, work.adoption.relid, work.adoption.cutover);
    read_steps(spi, work);
}

void validate(pg::Spi &spi, const Work &work, const Step &step)
{
    pg::OwnerScope owner(work.candidate.table.owner);
    const auto failure = pg::try_in_subtransaction([&] { spi.run(step.sql); });
    if (!failure)
        return;
    if (failure->sqlstate != "23514")
        pg::raise(*failure);
    const std::string key = pg::quote(work.candidate.key), bound = work.scheme.axis->text_of(work.cutover);
    pg::fail(ERRCODE_CHECK_VIOLATION,
             "relation \"" + work.candidate.relname + "\" has rows that the first partition cannot hold",
             "Their column " + key + " is NULL, or not before " + bound + ".",
             "Find them with SELECT .. WHERE " + key + " IS NULL OR " + key + " >= '" + bound +
                 "', correct them, and try again.");
}

void do_step(pg::Spi &spi, Work &work, const Step &step)
{
    if (step.action == Action::switch_over) {
        const Switched switched = switch_table(spi, work.candidate, work.adoption, work.scheme);
        store_switch(spi, work.adoption.relid, switched.parent, switched.lock_held_ms, switched.wait.tries,
                     work.candidate.needs_index());
        return;
    }
    if (step.action == Action::validate_limit)
        validate(spi, work, step);
    else
        run_locked(spi, work.adoption.relid, step.sql);
    read_steps(spi, work);
}

// After the switch: the next foreign key to the set is validated, writers going on.
std::vector<StepRow> advance_switched(pg::Spi &spi, const Adoption &adoption, TimestampTz begun, bool &more)
{
    std::vector<Validation> validations = read_validations(spi, adoption.parent);
    std::size_t next = 0;
    while (next < validations.size() && validations[next].is_done)
        ++next;
    if (next == validations.size())
        return rows_of_switched(adoption, validations);
    validate_key(spi, validations[next]);
    validations[next].is_done = true;
    more = true;
    std::vector<StepRow> rows = rows_of_switched(adoption, validations);
    rows[next + 1].state = "done now";
    rows[next + 1].ms = pg::ms_since(begun);
    return rows;
}

} // namespace

std::vector<StepRow> advance(pg::Spi &spi, Oid relid, bool &more)
{
    more = false;
    const TimestampTz begun = GetCurrentTimestamp();
    Adoption adoption = require_adoption(spi, relid);
    if (!adoption.is_done()) {
        pg::LockWait wait;
        pg::lock_in_tries(pg::require_owner(adoption.relid), ShareUpdateExclusiveLock, wait);
        adoption = require_adoption(spi, relid); // as whoever had the lock before left it
    }
    if (adoption.is_done())
        return advance_switched(spi, adoption, begun, more);
    Work work = read_work(spi, adoption);
    refuse_if_any("cannot adopt relation \"" + work.candidate.relname + "\"",
                  find_refusals(spi, work.candidate, GetUserId()));
    renew_cutover(spi, work, begun);
    drop_invalid_index(spi, work);
    const Step step = *next_step(work);
    if (step.is_top_level)
        return rows_of(work);
    do_step(spi, work, step);
    const bool has_switched = step.action == Action::switch_over;
    more = !has_switched || work.steps.back().action == Action::validate_foreign_key;
    std::vector<StepRow> rows = rows_of(work);
    for (StepRow &row : rows)
        if (row.action == to_string(step.action)) {
            row.state = "done now";
            row.ms = pg::ms_since(begun);
        } else if (has_switched && row.state == "waiting") {
            row.state = "next";
            break;
        }
    return rows;
}

namespace
{

// What drops all that an adoption prepared; also where its key is gone, or the table is none to adopt any
// more.
std::vector<std::string> leftovers(pg::Spi &spi, Oid relid)
{
    pg::CatalogPath path;
    std::vector<std::string> statements;
    pg::Rows rows = spi.run(
        "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', $2, conname) FROM pg_catalog.pg_constraint"
        " WHERE conrelid = $1 AND conname = $3::name UNION ALL"
        " SELECT format('DROP INDEX %s', i.indexrelid::regclass) FROM pg_catalog.pg_index i"
        " JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
        " WHERE i.indrelid = $1 AND starts_with(x.relname::text, $4)",
        {pg::oid_param(relid), pg::text_param(pg::qualified_name(relid)), pg::text_param(check_name),
         pg::text_param(index_prefix)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        statements.push_back(rows.text(row, 1));
    return statements;
}

} // namespace

std::vector<StepRow> cancel(pg::Spi &spi, Oid relid)
{
    Adoption adoption = require_adoption(spi, relid);
    if (!adoption.is_done()) {
        pg::LockWait wait;
        pg::lock_in_tries(pg::require_owner(adoption.relid), ShareUpdateExclusiveLock, wait);
        adoption = require_adoption(spi, relid);
    }
    if (adoption.is_done())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "relation \"" + pg::relation_name(relid) + "\" has been adopted already", {},
                 "After the switch there is nothing to cancel.");
    std::vector<StepRow> rows;
    for (const std::string &sql : leftovers(spi, adoption.relid)) {
        run_locked(spi, adoption.relid, sql);
        rows.push_back({static_cast<int>(rows.size()) + 1, "undo", "done now", sql, "", {}});
    }
    delete_adoption(spi, adoption.relid);
    return rows;
}

Standing standing_of(pg::Spi &spi, Oid relid)
{
    const Adoption adoption = require_adoption(spi, relid);
    if (adoption.is_done()) {
        Standing standing{"", 1, 1};
        for (const Validation &validation : read_validations(spi, adoption.parent)) {
            ++standing.total;
            standing.done += validation.is_done;
        }
        if (standing.done < standing.total)
            standing.step = to_string(Action::validate_foreign_key);
        return standing;
    }
    try {
        const Work work = read_work(spi, adoption);
        int done = 0;
        for (const Step &step : work.steps)
            done += step.is_done;
        return {to_string(next_step(work)->action), done, static_cast<int>(work.steps.size())};
    } catch (const pg::Error &error) { // the view goes on to show the others
        return {error.message, 0, 0};
    }
}

} // namespace privacy_scan::adopt
