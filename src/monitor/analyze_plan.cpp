// See analyze_plan.hpp.
#include "monitor/analyze_plan.hpp"

namespace privacy_scan::monitor
{

bool is_analyze_due(const TreeCounts &counts)
{
    if (!counts.is_partitioned)
        return false;
    if (!counts.changes)
        return counts.rows > 0;
    return static_cast<double>(*counts.changes) > counts.base_threshold + counts.part_of_rows;
}

} // namespace privacy_scan::monitor
