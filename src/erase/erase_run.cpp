// See erase_run.hpp.
#include "pg/postgres.hpp"

#include "erase/erase_run.hpp"

#include "archive_file/file_trash.hpp"
#include "erase/erase_files.hpp"
#include "erase/erase_ledger.hpp"
#include "erase/erase_sql.hpp"
#include "pg/ident.hpp"
#include "pg/subxact.hpp"
#include "retention/digest.hpp"
#include "retention/grace.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
}

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

// The work of one erasure.
class Run
{
  public:
    Run(pg::Spi &spi, Oid root, const std::string &condition)
        : spi_(spi), condition_(condition), places_(lock_places(spi, root, condition)), sql_(places_),
          owner_(places_.family.root().table.owner), id_(id_expression(spi, root))
    {
    }

    void find();
    void remove(bool is_trial);

    std::int64_t roots() const { return roots_; }
    const std::vector<Erased> &parts() const { return parts_; }
    const pg::Param &hashes() const { return hashes_; }
    const Places &places() const { return places_; }

  private:
    void stage_files(std::size_t member);
    void pick_roots();
    void pick_rows(std::size_t member);
    void add_params(pg::Rows &&row, int first);
    std::int64_t count_held(const std::string &condition);
    void refuse_held();
    void require_keys(const Place &place);
    void require_none_left(std::size_t member);
    void require_gone(const Place &place);
    void remove_live(const Place &place);
    void remove_archived(const Place &place, bool is_trial);
    std::string leaf_name(const Place &place, Oid source) const;
    void follow(const Place &place, const std::string &leaf, const retention::RowTotal &total, bool is_trial);

    pg::Spi &spi_;
    const std::string condition_;
    const Places places_;
    const EraseSql sql_;
    const Oid owner_;
    const std::string id_;
    std::int64_t roots_ = 0, deleted_roots_ = 0;
    retention::KeyRange range_;
    std::vector<pg::Rows> picked_; // whose arrays the parameters are
    std::vector<pg::Param> params_;
    pg::Param hashes_{}, keys_{};     // text[]
    std::vector<std::string> staged_; // leaves
    std::vector<Erased> parts_;
};

// Those that hold none of the rows are given up again; what is left is part of its archive.
void Run::stage_files(std::size_t member)
{
    const std::vector<archive_file::Entry> entries = file_entries(spi_, places_, member, range_);
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
                member == 0 ? sql_.count_roots(from, condition_) : sql_.count_rows(member, from);
            return spi_.run_generic(sql, member == 0 ? std::vector<pg::Param>() : params_).int8(0, 1) > 0;
        });
        if (is_needed)
            staged_.push_back(entry.leaf);
    }
}

void Run::add_params(pg::Rows &&row, int first)
{
    for (int column = first; column <= row.descriptor()->natts; ++column)
        params_.push_back({row.type(column), row.datum(0, column), row.is_null(0, column)});
    picked_.push_back(std::move(row));
}

void Run::pick_roots()
{
    pg::OwnerScope scope(owner_);
    pg::Rows row = spi_.run(sql_.pick_roots(condition_, id_));
    roots_ = row.int8(0, 1);
    hashes_ = {row.type(2), row.datum(0, 2), row.is_null(0, 2)};
    if (!row.is_null(0, 3))
        range_ = {retention::key_in_words(*places_.policy), retention::comparable_key(*places_.policy), row.text(0, 3), row.text(0, 4)};
    keys_ = {row.type(5), row.datum(0, 5), row.is_null(0, 5)};
    add_params(std::move(row), 6);
}

void Run::pick_rows(std::size_t member)
{
    const std::string sql = sql_.pick_rows(member);
    if (sql.empty())
        return;
    pg::OwnerScope scope(owner_);
    add_params(spi_.run_generic(sql, params_), 1);
}

std::int64_t Run::count_held(const std::string &condition)
{
    pg::OwnerScope scope(owner_);
    std::int64_t rows = 0;
    for (const Place *place : places_.of(0))
        rows += spi_.run_generic(sql_.count_held(*place, condition), params_).int8(0, 1);
    return rows;
}

void Run::refuse_held()
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
void Run::require_keys(const Place &place)
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
void Run::find()
{
    for (const Place &place : places_.list)
        if (!place.is_live)
            require_keys(place);
    stage_files(0);
    pick_roots();
    if (roots_ == 0)
        return;
    refuse_held();
    for (std::size_t i = 1; i < places_.family.members.size(); ++i) {
        stage_files(i);
        pick_rows(i);
    }
}

// Live rows that refer to those of a member would be cascaded away uncounted.
void Run::require_none_left(std::size_t member)
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
void Run::require_gone(const Place &place)
{
    if (spi_.run_generic(sql_.count_rows(place.member, place.from), params_).int8(0, 1) > 0)
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "rows of " + place.name + " were not deleted", {},
                 "Look for triggers on the relation that suppress deletes. Nothing was erased.");
}

void Run::remove_live(const Place &place)
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
std::string Run::leaf_name(const Place &place, Oid source) const
{
    const Oid relid = place.relid;
    const bool is_plain = pg::guarded([=] { return get_rel_relkind(relid); }) == RELKIND_RELATION;
    return is_plain && source != relid ? pg::qualified_name(source) : std::string();
}

void Run::follow(const Place &place, const std::string &leaf, const retention::RowTotal &total, bool is_trial)
{
    const retention::Member &member = places_.family.members[place.member];
    const bool is_staged = std::find(staged_.begin(), staged_.end(), leaf) != staged_.end();
    const archive_file::Entry entry =
        note_in_archives(spi_, places_.family.root(), member, place.name, leaf, total);
    const auto listed = archive_file::find_file(spi_, entry);
    std::string file = listed ? listed->name : std::string();
    if (!is_trial)
        file = follow_in_file(spi_, entry, owner_, is_staged);
    const std::string archive = leaf.empty() ? place.name : leaf;
    if (!is_staged)
        parts_.push_back({"table archive", member.table.relid, archive, {}, total.rows, total.bytes});
    if (listed)
        parts_.push_back({"file", member.table.relid, archive, file, total.rows, total.bytes});
}

void Run::remove_archived(const Place &place, bool is_trial)
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
        follow(place, part.leaf, part.total, is_trial);
}

// Children first.
void Run::remove(bool is_trial)
{
    if (places_.policy && !places_.policy->key_kind.empty())
        blur_keys(spi_, places_.policy->root, places_.policy->key_kind, keys_);
    for (std::size_t i = places_.family.members.size(); i-- > 0;)
        for (const Place *place : places_.of(i)) {
            if (place->is_live)
                remove_live(*place);
            else
                remove_archived(*place, is_trial);
        }
    if (deleted_roots_ != roots_) // one that was updated meanwhile is not where it was picked
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 std::to_string(roots_ - deleted_roots_) + " of " + std::to_string(roots_) + " rows of " +
                     places_.family.root().name + " were not deleted",
                 {},
                 "Look for triggers on what refers to it that update the row itself. Nothing was erased.");
}

Erasure nothing_found(const Places &places)
{
    Erasure erasure;
    for (std::size_t i = places.family.members.size(); i-- > 0;)
        erasure.parts.push_back({"live", places.family.members[i].table.relid, {}, {}, 0, 0});
    return erasure;
}

Erasure erase_once(pg::Spi &spi, Oid root, const std::string &condition, const std::string &reason,
                   bool is_trial)
{
    Run run(spi, root, condition);
    run.find();
    if (run.roots() > 0)
        run.remove(is_trial);
    if (!is_trial)
        refresh_files(spi, run.places());
    retention::part_detached(spi, run.places().joined);
    if (run.roots() == 0)
        return nothing_found(run.places());
    forget_plans(spi, run.places().family);
    warn_of_copies(spi, run.places().family);
    Erasure erasure{0, run.parts()};
    if (!is_trial)
        erasure.id = note_erasure(spi, root, reason, run.roots(), run.hashes(), erasure.parts);
    return erasure;
}

} // namespace

Erasure erase_families(pg::Spi &spi, Oid root, const std::string &condition, const std::string &reason,
                       bool is_trial)
{
    pg::require_read_committed("erase()");
    if (!is_trial) {
        archive_file::empty_trash(spi);
        return erase_once(spi, root, condition, reason, false);
    }
    Erasure erasure;
    pg::Subtransaction trial;
    erasure = erase_once(spi, root, condition, reason, true);
    trial.rollback();
    return erasure;
}

} // namespace privacy_scan::erase
