// The way back: a partition set that was adopted becomes a plain table again, while little lies beyond its
// first partition.
#pragma once

#include "adopt/adopt_steps.hpp"

namespace privacy_scan::adopt
{

// The next step: the index of the old primary key is the caller's to build; then, in one transaction and
// under ACCESS EXCLUSIVE on the set, asked for in short tries, the rows of the other partitions go into the
// first, which takes the name, and all that depends on the set, back. Errors: 55000 not adopted, or split
// since; 54000 more rows than max_rows; 0A000 a reason why not; 55006, 55P03 as for the switch.
std::vector<StepRow> undo(pg::Spi &spi, Oid relid, std::int64_t max_rows);

} // namespace privacy_scan::adopt
