// Live rows and those of table archives as one.
#pragma once

#include "pg/spi.hpp"

namespace privacy_scan::retention
{

// The query that reads a relation together with its table archives, columns as the relation has them: one
// that an archive lacks is NULL there, one that has another type is cast. With a condition (compiled, over
// the alias t) it is put to each of them. It names what the caller may not read as well: whoever runs it
// needs the rights.
std::string archived_rows_query(pg::Spi &spi, Oid relid, const std::string &condition);

// How many archives of the relation lie in files alone, which no query reads.
std::int64_t archives_in_files_alone(pg::Spi &spi, Oid relid);

} // namespace privacy_scan::retention
