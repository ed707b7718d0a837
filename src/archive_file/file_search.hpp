// Looks through a file for values, as text: many times as fast as bringing it back.
#pragma once

#include "archive_file/archive_entry.hpp"

#include <unordered_set>

namespace privacy_scan::archive_file
{

// A column, and values of it as their output function writes them.
struct WantedColumn {
    std::string name; // unquoted
    std::unordered_set<std::string> values;
};

// Whether a row has one of the values in one of the columns. Errors: 42703 a column is missing, and those of
// the file.
bool holds_any(const ListedFile &file, const std::vector<WantedColumn> &wanted);

} // namespace privacy_scan::archive_file
