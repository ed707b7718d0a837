// What is looked at before a leaf goes whole, while others read and write on.
#pragma once

#include "retention/leaf_handover.hpp"

namespace privacy_scan::retention
{

// The window must go row by row, whoever waits. Error: 55000.
[[noreturn]] void by_rows(const std::string &reason);

// The leaves, locked in SHARE UPDATE EXCLUSIVE, which keeps VACUUM and DDL away. Errors: 55000 where one is unlogged,
// 55P03, 42P01.
std::vector<CheckedLeaf> lock_leaves(const Window &window);

// A locked leaf's pages as they are now (leaf_pages.hpp), before it is read: nothing may come to it from now on. Errors:
// 55000 where too much of it isn't all-visible, 55P03.
void remember_pages(CheckedLeaf &checked);

// The rows of a locked leaf, with their digest.
void read_total(CheckedLeaf &checked);

} // namespace privacy_scan::retention
