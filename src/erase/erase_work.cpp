// See erase_work.hpp.
#include "pg/postgres.hpp"

#include "erase/erase_work.hpp"

#include "erase/erase_files.hpp"
#include "pg/ident.hpp"

namespace privacy_scan::erase
{

namespace
{

// The id of a root as text, over the alias t: its primary key, of which the partition key is left out; NULL
// where it has none.
std::string id_expression(pg::Spi &spi, Oid root)
{
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT count(*), string_agg(format('t.%I', a.attname), ', ' ORDER BY a.attnum)"
                " FROM pg_catalog.pg_index i"
                " JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
                " WHERE i.indrelid = $1 AND i.indisprimary AND NOT EXISTS"
                " (SELECT FROM pg_catalog.pg_partitioned_table p WHERE p.partrelid = i.indrelid"
                "  AND a.attnum = ANY (p.partattrs) AND cardinality(i.indkey::int2[]) > 1)",
                {pg::regclass_param(root)});
    if (rows.int8(0, 1) == 0)
        return "NULL::text";
    return rows.int8(0, 1) == 1 ? rows.text(0, 2) + "::text" : "ROW(" + rows.text(0, 2) + ")::text";
}

} // namespace

EraseWork::EraseWork(pg::Spi &spi, Oid root, const Request &request)
    : spi_(spi), request_(request), places_(lock_places(spi, root, request.condition)), sql_(places_),
      owner_(places_.family.root().table.owner), id_(id_expression(spi, root))
{
}

// The ids that were asked for, of roots that lie in a file that is missing or damaged; what refers to them is found by
// them. Whether a hold keeps such a root cannot be seen.
std::vector<LostKeys> EraseWork::lost_roots(const std::string &file, const archive_file::FileState &lack)
{
    const std::string roots = "It holds roots of " + places_.family.root().name + ". ", copy = "Put a copy in its place";
    if (request_.ids.array.empty() || !sql_.add_unseen(request_.ids))
        refuse_to_pass(file, lack,
                       roots + "Which of them meet the condition, or what refers to them by other columns, isn't known.",
                       copy + ", or erase by ids.");
    if (!places_.holds.empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "archive file \"" + file + "\" is missing or damaged, and hold " +
                     std::to_string(places_.holds.front().id) + " is in force",
                 roots + "Whether the hold keeps one of them cannot be seen. Nothing was erased.", copy + ".");
    if (!is_told_by_text(spi_, places_.family.root().table.relid, request_.ids.column))
        refuse_to_pass(file, lack, roots + "Their ids cannot be told by their text: it could not be cleaned later.",
                       copy + ".");
    pg::OwnerScope scope(owner_);
    pg::Rows asked = spi_.run("SELECT (" + request_.ids.array + ")::text[]");
    asked_ = pg::Param{asked.type(1), asked.datum(0, 1), false};
    picked_.push_back(std::move(asked));
    return {{request_.ids.column, hashes_of(spi_, request_.ids.array)}};
}

std::vector<LostKeys> EraseWork::lost_keys(std::size_t member, const std::string &file,
                                            const archive_file::FileState &lack)
{
    std::vector<LostKeys> lost;
    if (sql_.has_children(member) || !has_keys_as_text(spi_, places_, member))
        refuse_to_pass(file, lack,
                       "It holds rows of " + places_.family.members[member].name +
                           ". Others refer to them, or their keys cannot be told by their text: it could not be cleaned later.",
                       "Put a copy in its place.");
    for (const retention::Link &link : places_.family.members[member].links) {
        const retention::Link::Column &pair = link.columns.front();
        pg::OwnerScope scope(owner_);
        lost.push_back({pair.child, hashes_of(spi_, "$1", {params_[sql_.parameter(link.parent, pair.parent)]})});
    }
    return lost;
}

void EraseWork::pass_over(std::size_t member, const archive_file::Entry &entry, const archive_file::FileState &lack)
{
    const std::string file = archive_file::require_file(spi_, entry).name;
    if (!request_.skips_missing)
        refuse_lack(file, lack, "It may hold rows that are to be erased.");
    missed_.push_back({entry, file, member == 0 ? lost_roots(file, lack) : lost_keys(member, file, lack)});
    const char *place = lack.state == "MISSING" ? "missing file" : "damaged file";
    parts_.push_back({place, places_.family.members[member].table.relid, entry.leaf, file, 0, 0});
}

// Those that hold none of the rows are given up again; what is left is part of its archive.
void EraseWork::stage_files(std::size_t member)
{
    std::vector<archive_file::Entry> entries;
    for (const archive_file::Entry &entry : file_entries(spi_, places_, member, range_)) {
        if (is_staged(entry.leaf)) // in a trial, and cleaned
            continue;
        if (const auto lack = lack_of(spi_, entry))
            pass_over(member, entry, *lack);
        else
            entries.push_back(entry);
    }
    if (entries.empty())
        return;
    const auto wanted = wanted_columns(spi_, places_, member,
                                       [&](std::size_t of, const std::string &column) -> const pg::Param & {
                                           return params_[sql_.parameter(of, column)];
                                       });
    for (const archive_file::Entry &entry : entries) {
        if (!may_hold(spi_, entry, wanted))
            continue;
        const bool is_needed = stage(spi_, entry, owner_, [&](Oid relid) {
            const std::string from = "ONLY " + pg::qualified_name(relid);
            const std::string sql =
                member == 0 ? sql_.count_roots(from, request_.condition) : sql_.count_rows(member, from);
            return spi_.run_generic(sql, member == 0 ? std::vector<pg::Param>() : params_).int8(0, 1) > 0;
        });
        if (is_needed)
            staged_.push_back(entry.leaf);
    }
}

void EraseWork::add_params(pg::Rows &&row, int first)
{
    for (int column = first; column <= row.descriptor()->natts; ++column)
        params_.push_back({row.type(column), row.datum(0, column), row.is_null(0, column)});
    picked_.push_back(std::move(row));
}

void EraseWork::pick_roots()
{
    pg::OwnerScope scope(owner_);
    pg::Rows row = spi_.run(sql_.pick_roots(request_.condition, id_));
    roots_ = row.int8(0, 1);
    hashes_ = {row.type(2), row.datum(0, 2), row.is_null(0, 2)};
    if (!row.is_null(0, 3) && missed_.empty()) // of what cannot be read the keys are not known
        range_ = {retention::key_in_words(*places_.policy), retention::comparable_key(*places_.policy),
                  row.text(0, 3), row.text(0, 4)};
    add_params(std::move(row), 5);
    if (!missed_.empty()) { // of all that was asked for
        pg::Rows asked = spi_.run("SELECT $1::text[]", {pg::text_param(missed_.front().keys.front().hashes)});
        hashes_ = {asked.type(1), asked.datum(0, 1), asked.is_null(0, 1)};
        picked_.push_back(std::move(asked));
    }
}

void EraseWork::pick_rows(std::size_t member)
{
    const std::string sql = sql_.pick_rows(member);
    if (sql.empty())
        return;
    pg::OwnerScope scope(owner_);
    add_params(spi_.run_generic(sql, params_), 1);
}

std::int64_t EraseWork::count_held(const std::string &condition)
{
    pg::OwnerScope scope(owner_);
    std::int64_t rows = 0;
    for (const Place *place : places_.of(0))
        rows += spi_.run_generic(sql_.count_held(*place, condition), params_).int8(0, 1);
    return rows;
}

void EraseWork::refuse_held()
{
    std::string any, by;
    for (const retention::Hold &hold : places_.holds)
        if (const std::int64_t rows = count_held(hold.condition); rows > 0) {
            any += (any.empty() ? "(" : " OR (") + hold.condition + ")";
            by += (by.empty() ? "Hold " : ", hold ") + std::to_string(hold.id) + " (" + hold.reason +
                  ") keeps " + std::to_string(rows);
        }
    if (!any.empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "cannot erase rows of " + places_.family.root().name + ": " +
                     std::to_string(count_held(any)) + " of " + std::to_string(roots_) + " are held",
                 by + ". Nothing was erased.",
                 "Release the hold with release_hold(), or leave these rows out.");
}

// Archived rows without a key that the live relation cannot lack are reached by nobody: its column was renamed,
// and the archive's was not.
void EraseWork::require_keys(const Place &place)
{
    const std::string missing = sql_.select_without_keys(spi_, place);
    if (missing.empty())
        return;
    pg::OwnerScope scope(owner_);
    if (spi_.run("SELECT EXISTS (" + missing + ")").boolean(0, 1))
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 "rows of " + place.name + " lack a key that ties " +
                     places_.family.members[place.member].name + " to its family",
                 "It is NULL there, and cannot be in the live relation: whose rows they are is not known.",
                 "Where a column was renamed rename that of the archive, too; nothing was erased.");
}

// Parents first: the keys of what goes lead to what refers to it.
void EraseWork::find()
{
    for (const Place &place : places_.list)
        if (!place.is_live)
            require_keys(place);
    stage_files(0);
    pick_roots();
    if (!has_work())
        return;
    refuse_held();
    for (std::size_t i = 1; i < places_.family.members.size(); ++i) {
        stage_files(i);
        pick_rows(i);
    }
}

} // namespace privacy_scan::erase
