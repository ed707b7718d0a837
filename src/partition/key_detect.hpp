// Which kind of ids a column holds, told from a sample of its rows.
#pragma once

#include "partition/time_grid.hpp"
#include "pg/spi.hpp"

namespace privacy_scan::partition
{

// What the sample says of one kind.
struct KindFinding {
    std::string kind;
    double share; // of the sample, from 0 to 1: ids of the kind with a time that is no accident
    Instant oldest, newest;
};

// The kinds that some of at most that many values of the column fit, the likeliest first; of snowflakes, the
// epochs of Twitter and Discord alone are tried. None for a type that holds no ids. Reads the column with the
// rights of the current role.
std::vector<KindFinding> detect_key_kinds(pg::Spi &spi, Oid relid, const std::string &column, Oid type,
                                          std::int32_t most_rows);

} // namespace privacy_scan::partition
