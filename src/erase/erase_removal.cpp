// See erase_work.hpp.
#include "pg/postgres.hpp"

#include "erase/erase_work.hpp"

#include "archive_file/manifest.hpp"
#include "erase/erase_files.hpp"
#include "pg/failpoint.hpp"
#include "pg/ident.hpp"
#include "retention/digest.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::erase
{

namespace
{

bool has_column(Oid relid, const std::string &column)
{
    const char *name = column.c_str();
    return pg::guarded([=] { return get_attnum(relid, name); }) > 0;
}

void warn_of_held(const std::string &leaf, std::int64_t rows)
{
    const char *name = leaf.c_str();
    const long long held = rows;
    pg::guarded([=] {
        ereport(WARNING, (errmsg("the file of %s, which an erasure passed over, is back and was not cleaned", name),
                          errdetail("A hold keeps %lld of the rows that are to go.", held),
                          errhint("Release the hold with release_hold(), and call erase() again.")));
    });
}

void warn_of_damaged(const std::string &file, const std::string &state)
{
    const char *name = file.c_str();
    const char *how = state.c_str();
    pg::guarded([=] {
        ereport(WARNING, (errmsg("archive file \"%s\", which an erasure passed over, is back and was not cleaned", name),
                          errdetail("It is %s.", how),
                          errhint("Put a copy that is whole in its place, and call erase() again.")));
    });
}

} // namespace

// Live rows that refer to those of a member would be cascaded away uncounted.
void EraseWork::require_none_left(std::size_t member)
{
    for (const Place &place : places_.list) {
        const std::vector<retention::Link> &links = places_.family.members[place.member].links;
        if (!place.is_live || std::none_of(links.begin(), links.end(), [=](const retention::Link &link) {
                return link.parent == member;
            }))
            continue;
        const std::int64_t left =
            spi_.run_generic(sql_.count_rows(place.member, place.from), params_).int8(0, 1);
        if (left > 0)
            pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                     std::to_string(left) + " rows of " + place.name + " still belong to the erased roots",
                     {},
                     "Look for triggers on the relation that suppress or redo deletes. Nothing was erased.");
    }
}

// Of live members but the root require_none_left() says so. The caller acts as the owner.
void EraseWork::require_gone(const Place &place)
{
    if (spi_.run_generic(sql_.count_rows(place.member, place.from), params_).int8(0, 1) > 0)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "rows of " + place.name + " were not deleted", {},
                 "Look for triggers on the relation that suppress deletes. Nothing was erased.");
}

void EraseWork::remove_live(const Place &place)
{
    pg::OwnerScope scope(owner_);
    require_none_left(place.member);
    Erased erased{"live", place.relid, {}, {}, 0, 0};
    pg::Rows rows = spi_.run_generic(sql_.delete_rows(place), params_);
    for (std::size_t row = 0; row < rows.size(); ++row) {
        erased.rows += rows.int8(row, 2);
        erased.bytes += rows.int8(row, 3);
    }
    if (place.member == 0) {
        deleted_roots_ += erased.rows;
        require_gone(place);
    }
    parts_.push_back(erased);
}

// The partition or window of the archive that the rows lay in, as the ledger has it; empty for rows of the
// archive itself.
std::string EraseWork::leaf_name(const Place &place, Oid source) const
{
    const Oid relid = place.relid;
    const bool is_plain = pg::guarded([=] { return get_rel_relkind(relid); }) == RELKIND_RELATION;
    return is_plain && source != relid ? pg::qualified_name(source) : std::string();
}

bool EraseWork::is_staged(const std::string &leaf) const
{
    return std::find(staged_.begin(), staged_.end(), leaf) != staged_.end();
}

void EraseWork::follow(const Place &place, const std::string &leaf, const retention::RowTotal &total)
{
    const retention::Member &member = places_.family.members[place.member];
    const archive_file::Entry entry =
        note_in_archives(spi_, places_.family.root(), member, place.name, leaf, total);
    const auto listed = archive_file::find_file(spi_, entry);
    std::string file = listed ? listed->name : std::string();
    if (!request_.is_trial) { // a trial is rolled back, and may find more in a table that is staged
        file = follow_in_file(spi_, entry);
        if (!file.empty())
            rewritten_.push_back(leaf);
        if (is_staged(leaf)) {
            pg::OwnerScope scope(owner_);
            spi_.run("DROP TABLE " + leaf);
        }
    }
    const std::string archive = leaf.empty() ? place.name : leaf;
    if (!is_staged(leaf))
        parts_.push_back({"table archive", member.table.relid, archive, {}, total.rows, total.bytes});
    if (listed)
        parts_.push_back({"file", member.table.relid, archive, file, total.rows, total.bytes});
}

void EraseWork::remove_archived(const Place &place)
{
    struct Part {
        std::string leaf;
        retention::RowTotal total;
    };
    std::vector<Part> removed;
    {
        pg::OwnerScope scope(owner_);
        pg::Rows rows = spi_.run_generic(sql_.delete_rows(place), params_);
        for (std::size_t row = 0; row < rows.size(); ++row) {
            const retention::RowTotal total{rows.int8(row, 2), rows.int8(row, 3),
                                            retention::digest_of(rows.text(row, 4))};
            const std::string leaf = leaf_name(place, rows.oid(row, 1));
            deleted_roots_ += place.member == 0 ? total.rows : 0;
            if (!removed.empty() && removed.back().leaf == leaf) // of a partitioned archive
                removed.back().total = {removed.back().total.rows + total.rows,
                                        removed.back().total.bytes + total.bytes,
                                        removed.back().total.digest + total.digest};
            else
                removed.push_back({leaf, total});
        }
        require_gone(place);
    }
    for (const Part &part : removed)
        follow(place, part.leaf, part.total);
}

// Of the rows of a returned file of the root that are to go, those that a hold keeps by now.
std::int64_t EraseWork::count_held_in(const std::string &from, const Returned &file)
{
    std::string any;
    for (const retention::Hold &hold : places_.holds)
        any += (any.empty() ? "(" : " OR (") + hold.condition + ")";
    if (any.empty() || !file.is_root)
        return 0;
    return spi_.run(sql_.count_roots(from, file.condition + " AND (" + any + ")")).int8(0, 1);
}

// A file that is back loses what earlier erasures were to take of it, and nothing else does: these took what refers
// to its roots, or noted it of files of its own, and since then their ids may have been given anew. What is held
// stays, to be taken later; so does all of a file that came back damaged, where the call passes such files over.
void EraseWork::clean(const Returned &file)
{
    const archive_file::Entry &entry = file.entry;
    if (const auto lack = lack_of(spi_, entry)) {
        const std::string name = archive_file::require_file(spi_, entry).name;
        if (!request_.skips_missing)
            refuse_lack(name, *lack, "Erasure " + std::to_string(file.erasure) + " passed it over, and it is back.");
        return warn_of_damaged(name, lack->state);
    }
    const auto place = std::find_if(places_.list.begin(), places_.list.end(),
                                    [&](const Place &one) { return !one.is_live && one.name == entry.target; });
    if (place == places_.list.end())
        pg::fail(ERRCODE_UNDEFINED_TABLE, "archive " + entry.target + " does not exist");
    const std::string from = "ONLY " + entry.leaf;
    std::int64_t held = 0;
    const bool holds_rows = stage(spi_, entry, owner_, [&](Oid) {
        held = count_held_in(from, file);
        return held == 0 && spi_.run(sql_.count_roots(from, file.condition)).int8(0, 1) > 0;
    });
    if (held > 0)
        return warn_of_held(entry.leaf, held);
    blurred_.push_back({entry.target, entry.leaf}); // its manifest is one of before
    note_returned(spi_, file, holds_rows ? take(*place, file) : retention::RowTotal{});
}

retention::RowTotal EraseWork::take(const Place &place, const Returned &file)
{
    const archive_file::Entry &entry = file.entry;
    const std::string from = "ONLY " + entry.leaf;
    if (place.member == 0)
        forget_ranges(place.relid, from, file.condition);
    retention::RowTotal total{};
    {
        pg::OwnerScope scope(owner_);
        pg::Rows rows = spi_.run(EraseSql::delete_where(from, place.columns, file.condition));
        if (rows.empty())
            pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "rows of " + entry.leaf + " were not deleted");
        total = {rows.int8(0, 2), rows.int8(0, 3), retention::digest_of(rows.text(0, 4))};
    }
    staged_.push_back(entry.leaf);
    follow(place, entry.leaf, total);
    parts_.back().erasure = file.erasure; // it has a file
    if (!request_.is_trial)
        staged_.pop_back();
    return total;
}

// Columns of the root by whose ids the ledger gives ranges, or former policies had it do so. Unquoted.
std::vector<std::string> EraseWork::range_columns()
{
    const std::string key = places_.policy ? retention::key_in_words(*places_.policy) : std::string();
    std::vector<std::string> columns = former_keys(spi_, places_.family.root().table.relid, key);
    if (places_.policy && !places_.policy->key_kind.empty())
        columns.push_back(places_.policy->key);
    return columns;
}

void EraseWork::forget_values(const std::string &column, const pg::Param &values)
{
    const Oid root = places_.family.root().table.relid;
    const bool is_key = places_.policy && !places_.policy->key_kind.empty() && places_.policy->key == column;
    for (const LedgerPart &part : is_key ? blur_keys(spi_, root, places_.policy->key_kind, values)
                                         : erase::forget_ranges(spi_, root, column, values))
        blurred_.push_back(part);
}

// Ids of erased roots are not kept as ends of ranges either. The condition is as select_values() takes it.
void EraseWork::forget_ranges(Oid relid, const std::string &from, const std::string &condition)
{
    for (const std::string &column : range_columns()) {
        if (!has_column(relid, column))
            continue; // an archive of before it was there
        std::optional<pg::Rows> values;
        {
            pg::OwnerScope scope(owner_);
            values.emplace(spi_.run_generic(sql_.select_values(from, column, condition),
                                            condition.empty() ? params_ : std::vector<pg::Param>()));
        }
        forget_values(column, {values->type(1), values->datum(0, 1), values->is_null(0, 1)});
    }
}

// The manifests of files that held none of the rows: those of the others are written with their files.
void EraseWork::renew_manifests()
{
    for (const LedgerPart &part : blurred_) {
        if (part.leaf.empty() || std::find(rewritten_.begin(), rewritten_.end(), part.leaf) != rewritten_.end())
            continue;
        rewritten_.push_back(part.leaf);
        const archive_file::Entry entry = entry_of(spi_, part);
        archive_file::with_sql_errors([&] {
            if (archive_file::find_file(spi_, entry))
                archive_file::rewrite_manifest(spi_, entry);
        });
    }
}

// Children first.
void EraseWork::remove()
{
    for (const Place *place : places_.of(0))
        forget_ranges(place->relid, place->from);
    if (const std::vector<std::string> columns = range_columns();
        asked_ && std::find(columns.begin(), columns.end(), request_.ids.column) != columns.end())
        forget_values(request_.ids.column, *asked_);
    for (std::size_t i = places_.family.members.size(); i-- > 0;)
        for (const Place *place : places_.of(i)) {
            if (place->is_live)
                remove_live(*place);
            else
                remove_archived(*place);
            PS_FAILPOINT("erase.place");
        }
    if (deleted_roots_ != roots_) // one that was updated meanwhile is not where it was picked
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 std::to_string(roots_ - deleted_roots_) + " of " + std::to_string(roots_) + " rows of " +
                     places_.family.root().name + " were not deleted",
                 {},
                 "Look for triggers on what refers to it that update the row itself. Nothing was erased.");
}

} // namespace privacy_scan::erase
