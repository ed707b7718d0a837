// The statements of an erasure, as text. The rows of a family are found by the keys of their parents,
// wherever those lie: a child's row goes when it refers to a row that goes, in whichever place.
#pragma once

#include "erase/erase_places.hpp"
#include "retention/hold.hpp"

namespace privacy_scan::erase
{

class EraseSql
{
  public:
    // Must outlive it.
    explicit EraseSql(const Places &places);

    // Roots with these ids lie where they cannot be read: pick_roots() gives their ids among the keys. False, and nothing
    // is done, where children refer to anything else of the root.
    bool add_unseen(const retention::RootIds &ids);

    // Whether others refer to a member.
    bool has_children(std::size_t member) const { return !columns_[member].empty(); }

    // Finds the roots that meet the condition, in all places, and locks the live ones. One row: count, hashes
    // of their ids (text[]), least and greatest key as text (NULL where keys cannot be compared), then the
    // parameters that what follows takes, in their order: $1 tableoids, $2 ctids, the arrays of the columns
    // that children refer to. `id`: an expression over the alias t, text.
    std::string pick_roots(const std::string &condition, const std::string &id) const;

    // Of a member that others refer to: its rows that go, the live ones locked; one row: the arrays of the
    // columns that its children refer to, the next parameters. Empty where there are none.
    std::string pick_rows(std::size_t member) const;

    // Which of the parameters, from 0, has the values of a member's column.
    std::size_t parameter(std::size_t member, const std::string &column) const;

    // Counts the rows of a relation (`from`: as a source) that go, as those of a member; of roots those that
    // meet a condition.
    std::string count_rows(std::size_t member, const std::string &from) const;
    std::string count_roots(const std::string &from, const std::string &condition) const;

    // Selects the rows of an archive that lack a key which ties members and which its live relation has NOT NULL.
    // Empty where there is no such key.
    std::string select_without_keys(pg::Spi &spi, const Place &place) const;

    // Of the roots that go, those in this place that meet a hold's condition.
    std::string count_held(const Place &place, const std::string &condition) const;

    // Deletes a member's rows of a place. A row for each relation that they were in: its OID; rows, bytes,
    // digest.
    std::string delete_rows(const Place &place) const;

    // The same of one table, those that meet a condition. One row at most.
    static std::string delete_where(const std::string &from, const std::string &columns,
                                    const std::string &condition);

    // The different values of a column, as text[], of the rows of a source that meet a condition; empty: of the
    // roots that go.
    std::string select_values(const std::string &from, const std::string &column, const std::string &condition) const;

  private:
    std::string keys(std::size_t member) const;
    std::string arrays(std::size_t member) const;
    std::string picked(std::size_t member, const std::string &columns, const std::string &condition) const;
    std::string number(std::size_t member, const std::string &column) const;
    std::string through(const retention::Link &link) const;
    std::string goes(std::size_t member) const;
    std::string extremes() const;

    const Places &places_;
    std::string unseen_; // SQL, an array; empty: none
    std::vector<std::vector<std::string>> columns_; // by member, unquoted: those that children refer to
};

} // namespace privacy_scan::erase
