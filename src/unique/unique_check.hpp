// Columns that stay unique in a partition set though its key is not among them: the checks there are, making
// one, and rows that are in its way. What a check is, is its trigger on the root; nothing else is stored.
#pragma once

#include "pg/spi.hpp"

namespace privacy_scan::unique
{

struct Check {
    std::string name;                 // of the trigger, unquoted; errors name it as the constraint
    std::vector<std::string> columns; // unquoted
};

std::vector<Check> find_checks(pg::Spi &spi, Oid relid);

// The primary key's columns without the partition key. Error 42704 where nothing is left of it.
std::vector<std::string> columns_of_id(pg::Spi &spi, Oid relid);

// The statements for it, as the owner (within OwnerScope) and under SHARE ROW EXCLUSIVE on the set. Errors:
// 55000 a partition without a fitting index, 42703, 42701, 22023 the columns. model: the relation whose triggers
// it has, or will have.
void create_check(pg::Spi &spi, Oid relid, const std::vector<std::string> &columns, Oid model);
// What BEFORE UPDATE triggers that are there make necessary, where it isn't there: they may change the columns
// in a statement that doesn't name them.
void complete_check(pg::Spi &spi, Oid relid, const Check &check, Oid model);
void drop_check(pg::Spi &spi, Oid relid, const Check &check);

// Of values that several rows have: (key jsonb, rows bigint, partitions text), at most $1. NULLs equal
// nothing.
std::string duplicates_query(Oid relid, const std::vector<std::string> &columns);

} // namespace privacy_scan::unique
