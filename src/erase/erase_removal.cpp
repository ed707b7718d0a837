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

void EraseWork::follow(const Place &place, const std::string &leaf, const retention::RowTotal &total)
{
    const retention::Member &member = places_.family.members[place.member];
    const bool is_staged = std::find(staged_.begin(), staged_.end(), leaf) != staged_.end();
    const archive_file::Entry entry =
        note_in_archives(spi_, places_.family.root(), member, place.name, leaf, total);
    const auto listed = archive_file::find_file(spi_, entry);
    std::string file = listed ? listed->name : std::string();
    if (!request_.is_trial)
        file = follow_in_file(spi_, entry, owner_, is_staged);
    if (!file.empty() && !request_.is_trial)
        rewritten_.push_back(leaf);
    const std::string archive = leaf.empty() ? place.name : leaf;
    if (!is_staged)
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

// A file that is back loses what earlier erasures were to take of it.
void EraseWork::clean(const Returned &file)
{
    const archive_file::Entry &entry = file.entry;
    stage(spi_, entry, owner_, [](Oid) { return true; });
    const auto place = std::find_if(places_.list.begin(), places_.list.end(),
                                    [&](const Place &one) { return !one.is_live && one.name == entry.target; });
    if (place == places_.list.end())
        pg::fail(ERRCODE_UNDEFINED_TABLE, "archive " + entry.target + " does not exist");
    retention::RowTotal total{};
    {
        pg::OwnerScope scope(owner_);
        pg::Rows rows = spi_.run(EraseSql::delete_where("ONLY " + entry.leaf, place->columns, file.condition));
        if (!rows.empty())
            total = {rows.int8(0, 2), rows.int8(0, 3), retention::digest_of(rows.text(0, 4))};
    }
    if (total.rows > 0) {
        staged_.push_back(entry.leaf);
        follow(*place, entry.leaf, total);
        staged_.pop_back();
    }
    if (total.rows == 0 || request_.is_trial) {
        pg::OwnerScope scope(owner_);
        spi_.run("DROP TABLE " + entry.leaf);
    }
    note_returned(spi_, file, total);
}

// Ids of erased roots are not kept as ends of ranges either, of this policy and of former ones.
void EraseWork::forget_ranges()
{
    const Oid root = places_.family.root().table.relid;
    const bool has_kind = places_.policy && !places_.policy->key_kind.empty();
    if (has_kind)
        blurred_ = blur_keys(spi_, root, places_.policy->key_kind, keys_);
    const std::string key = places_.policy ? retention::key_in_words(*places_.policy) : std::string();
    for (const std::string &column : former_keys(spi_, root, key))
        for (const Place *place : places_.of(0)) {
            if (!has_column(place->relid, column))
                continue; // an archive of before it was there
            std::optional<pg::Rows> values;
            {
                pg::OwnerScope scope(owner_);
                values.emplace(spi_.run_generic(sql_.select_values(*place, column), params_));
            }
            for (const LedgerPart &part :
                 erase::forget_ranges(spi_, root, column, {values->type(1), values->datum(0, 1), values->is_null(0, 1)}))
                blurred_.push_back(part);
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
    forget_ranges();
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
