// Publications: whole partitions that come or go are no rows that came or went, and subscribers are told of rows alone.
#pragma once

#include "pg/spi.hpp"

namespace privacy_scan::retention
{

enum class Change { insert, remove };

// Does a publication tell of such changes of the relation, or of a partition of it, by itself, by what it is a partition of,
// by its schema, or as of all tables?
bool is_published(pg::Spi &spi, Oid relid, Change change);

} // namespace privacy_scan::retention
