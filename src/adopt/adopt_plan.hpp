// What an adoption decides from plain values. Pure: no catalog, no clock; proven by unit tests.
#pragma once

#include "partition/time_grid.hpp"

#include <vector>

namespace privacy_scan::adopt
{

// What a sample says of a column of ids.
struct IdFacts {
    std::string kind;         // empty: none that carries time
    double share = 0;         // of the sample that fits, from 0 to 1
    bool is_primary_key;      // it alone
    bool sorts_by_time;       // in the column's collation
    std::int64_t referencing; // foreign keys to the table
};

// A column that could be the partition key, in the order of the table's columns.
struct KeyChoice {
    std::string name;
    bool not_null;
    bool has_default; // the server fills it in where the application doesn't
    bool in_primary_key;
    std::optional<IdFacts> id; // nothing for a column that holds a time
};

// Ids of which fewer carry time leave too much where nobody can tell its age.
constexpr double least_share = 0.9;

// The index of the column to recommend; nothing where there is none. A primary key of ids that carry time
// comes first, since it stays as it is; another column of ids has to be asked for.
std::optional<std::size_t> recommend_key(const std::vector<KeyChoice> &columns);

// Why that one, in sentences.
std::string why_key(const std::vector<KeyChoice> &columns, std::size_t chosen);

// Rows at and beyond the cutover are refused until the switch. So it lies ahead of the clock by more than
// what an application's clock or time zone may differ, and by the time that the steps may take.
constexpr std::int64_t least_lead = 24 * 3600 * partition::usecs_per_second;

// The first bound of the grid that lies so far ahead of now; nothing where the grid ends before.
std::optional<std::int64_t> choose_cutover(const partition::Grid &grid, std::int64_t now);

// Seconds that a step is expected to take on a heap of that size, from rates that were measured
// (doc/adopt.md).
double seconds_to_index(double heap_bytes);
double seconds_to_validate(double heap_bytes);
double seconds_to_validate_key(double heap_bytes); // of a foreign key: the size of what refers

} // namespace privacy_scan::adopt
