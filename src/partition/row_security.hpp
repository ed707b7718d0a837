// Row-level security of one table, for another that holds rows of the same kind: a partition, an archive.
#pragma once

#include "pg/spi.hpp"

namespace privacy_scan::partition
{

// A statement about a table, with its name left open.
struct Statement {
    std::string head, tail;
    std::string about(const std::string &table) const { return head + table + tail; }
};

// A policy. Its expressions are node trees: as text they may name the table.
struct SecurityPolicy {
    Statement statement; // CREATE POLICY name ON .. AS .. FOR .. TO ..
    std::string use, check;
};

struct RowSecurity {
    std::vector<Statement> switches; // enabled, forced
    std::vector<SecurityPolicy> policies;
};

// Runs inside OwnerScope: expressions are deparsed under its search_path.
RowSecurity read_row_security(pg::Spi &spi, Oid relid);

// Gives it to another table, which has none yet, and the columns of the first by name. As the owner.
void secure_rows(pg::Spi &spi, const RowSecurity &security, Oid from, Oid to);

} // namespace privacy_scan::partition
