// The statements about a family's rows, as text. Names are quoted by those who read them from the catalog.
#pragma once

#include "retention/family.hpp"
#include "retention/policy.hpp"

namespace privacy_scan::retention
{

class FamilySql
{
  public:
    // Both must outlive it.
    FamilySql(const Family &family, const Policy &policy);

    // The expired roots: parameters $1 cutoff, $2 number, $3 number to pass over. One row: count, tableoids,
    // ctids, least and greatest key as text, then an array for each column that children refer to. Locks them
    // FOR UPDATE, passing over those that others hold.
    std::string pick_roots() const;

    // Parameters of what follows: $1 tableoids, $2 ctids, $3 ... the arrays of the columns, as picked.
    std::size_t columns() const { return root_columns_.size(); }

    // Names the leaves of a member that hold rows within the range of the picked roots' ids; empty where the
    // member isn't looked through leaf by leaf.
    std::string probe_leaves(const Member &member) const;

    // Locks a member's rows FOR UPDATE, one statement for each of its links.
    std::vector<std::string> lock_rows(const Member &member) const;

    // Counts a member's rows that belong to the picked roots.
    std::string count_rows(const Member &member) const;

    // Deletes a member's rows and returns them, each behind its tableoid.
    std::string delete_rows(const Member &member, const std::string &columns) const;

    // Moves a member's rows to an archive by SQL alone. One row: rows, bytes and digest of what was deleted,
    // rows and digest of what was inserted.
    std::string move_rows(const Member &member, const std::string &archive, const std::string &columns) const;

    // Copies a member's rows into another relation. One row: rows, bytes and digest of what was inserted.
    std::string copy_rows(const Member &member, const std::string &target, const std::string &insert_columns,
                          const std::string &columns) const;

    // Rows, bytes and digest of what copy_rows() copies.
    std::string digest_rows(const Member &member, const std::string &columns) const;

    // Of a member's rows, those with which a row of another relation agrees in the columns, there the parent's: their
    // number, and the least five such rows of columns as text.
    std::string count_conflicts(const Member &member, const std::string &other,
                                const std::vector<Link::Column> &columns) const;

    // Deletes a member's rows. A row for each relation that they were in: its OID; rows, bytes, digest.
    std::string remove_rows(const Member &member, const std::string &columns) const;

    // The expired roots that an array of values refers to, through the member's only link: parameters $1
    // cutoff, $2 the array. The row of pick_roots(), locked as there.
    std::string pick_referenced(const Member &member) const;

    // The roots that meet a condition over the alias t: the row of pick_roots(), locked as there. And their
    // number.
    std::string pick_where(const std::string &condition) const;
    std::string count_where(const std::string &condition) const;

    // Of the array, behind the parameters of the picked roots, the values that refer to none of them: their
    // number, and an array. And true of the alias t's row that refers to one in such an array, $1, or to nobody.
    std::string unpicked(const Member &member) const;
    std::string refers_to_others(const Member &member) const;

    // For one leaf of a member, parameter $1 cutoff: have the roots of all of a few rows expired, and of any;
    // counts of all its rows and of those under expired roots; of the others, at most $2.
    std::string sample_leaf(const Member &member, const std::string &leaf) const;
    std::string count_leaf(const Member &member, const std::string &leaf) const;
    std::string count_staying(const Member &member, const std::string &leaf) const;

    // For a leaf of the root, parameter $1 cutoff: have all of its roots expired; counts of all and of those
    // that have, least and greatest key of these as text; the row of pick_roots() for these, locked as there.
    std::string has_only_expired(const std::string &leaf) const;
    std::string count_roots(const std::string &leaf) const;
    std::string pick_leaf(const std::string &leaf) const;

    // True of the alias t's row: of the root, that has expired (parameter $1 cutoff); of a member, that has its
    // parent, through the only link, in a source of rows.
    std::string has_expired() const { return expired(); }
    std::string has_parent_in(const Member &member, const std::string &source) const;

    // For the plan, parameter $1 cutoff: count of a member's rows under expired roots; for the root also
    // least and greatest key as text.
    std::string count_expired(const Member &member) const;

    // Likewise: a digest of which roots have expired, by their keys and what children refer to.
    std::string digest_expired() const;

    // Likewise: count of the roots that have expired but for a hold.
    std::string count_held(const Hold &hold) const;

  private:
    enum class Roots { picked, expired };
    std::string expired_but_for_holds() const;
    std::string expired() const;
    std::string extremes(const std::string &key) const;
    std::string pick(const std::string &from, const std::string &condition, const std::string &limit = {}) const;
    std::string number(const std::string &root_column) const;
    std::string through(const Link &link, const std::string &alias, Roots roots) const;
    std::string belongs(const Member &member, const std::string &alias, Roots roots) const;
    std::string hits(const Member &member) const;
    std::string is_found(const Member &member) const;
    std::string deletion(const Member &member) const;

    const Family &family_;
    const Policy &policy_;
    std::string key_;                       // of the root, quoted
    std::vector<std::string> root_columns_; // unquoted, those that children refer to
};

} // namespace privacy_scan::retention
