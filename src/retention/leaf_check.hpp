// What is looked at before a leaf goes whole, while others read and write on.
#pragma once

#include "retention/leaf_handover.hpp"

namespace privacy_scan::retention
{

// The window must go row by row, whoever waits. Error: 55000.
[[noreturn]] void by_rows(const std::string &reason);

// The leaves, locked in SHARE UPDATE EXCLUSIVE, with their pages as they are now (leaf_pages.hpp), not yet read.
// Errors: 55000 where too much of one isn't all-visible, 55P03, 42P01.
std::vector<CheckedLeaf> lock_leaves(const Window &window);

} // namespace privacy_scan::retention
