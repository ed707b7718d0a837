// What the catalog says about the relations of an online index build, and the statements on them.
#pragma once

#include "index/index_plan.hpp"
#include "pg/owner.hpp"
#include "pg/spi.hpp"

namespace privacy_scan::index
{

// Columns in ascending order with the types' default operator classes and the columns' collations.
struct Wish {
    Oid relid;
    std::vector<std::string> columns;
    bool is_unique;
    std::string method;
};

struct Member {
    pg::OwnedTable table;
    bool is_partitioned;
};

// The relation, and all its partitions below it, parents first. Refuses what the build cannot be done on.
// Errors: 42P01, 42501 not the owner of each, 42809 neither a table nor partitioned, temporary, or with a
// foreign partition.
std::vector<Member> members_of(pg::Spi &spi, Oid root);

// Refuses columns that don't exist or are named twice, and no columns at all. Errors: 42703, 42701, 22023.
void check_columns(const Wish &wish);

// The indexes of the relation with this definition, whoever made them.
std::vector<FoundIndex> find_indexes(pg::Spi &spi, Oid relid, const Wish &wish);

// What the relation is a partition of now; 0: nothing.
Oid parent_of(pg::Spi &spi, Oid relid);

// table_column_idx, with a number where that is taken.
std::string free_name(pg::Spi &spi, Oid relid, const Wish &wish);

std::string create_sql(Oid relid, const std::string &name, const Wish &wish, Action action);
std::string drop_sql(Oid index);
std::string attach_sql(Oid parent_index, Oid index);

} // namespace privacy_scan::index
