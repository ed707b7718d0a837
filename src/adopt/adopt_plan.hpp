// What an adoption decides from plain values. Pure: no catalog, no clock; proven by unit tests.
#pragma once

#include "partition/time_grid.hpp"

#include <vector>

namespace privacy_scan::adopt
{

// A column that could be the partition key, in the order of the table's columns.
struct KeyChoice {
    std::string name;
    bool not_null;
    bool has_default; // the server fills it in where the application doesn't
    bool in_primary_key;
};

// The index of the column to recommend; nothing where there is none.
std::optional<std::size_t> recommend_key(const std::vector<KeyChoice> &columns);

// Why that one, as a sentence.
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

} // namespace privacy_scan::adopt
