// Whether the planner's statistics of a partitioned relation are out of date. Pure: what was counted in, yes
// or no out.
#pragma once

#include <cstdint>
#include <optional>

namespace privacy_scan::monitor
{

// What is known of a relation of a tree, summed over its leaves.
struct TreeCounts {
    bool is_partitioned = false;         // autovacuum sees to the others
    std::optional<std::int64_t> changes; // rows changed since the last ANALYZE; none: not known
    std::int64_t rows = 0;
    double base_threshold = 0; // rows that may change whatever the size: autovacuum_analyze_threshold
    double part_of_rows = 0;   // and so many more: each leaf's rows times its scale factor
};

// Autovacuum's rule for a table, which it never applies to a partitioned one: more rows have changed than its
// threshold. Where nobody knows how many have, yes, unless there are none.
bool is_analyze_due(const TreeCounts &counts);

} // namespace privacy_scan::monitor
