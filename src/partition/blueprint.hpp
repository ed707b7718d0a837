// How a new partition is made to take after its parent: the statements, computed once for a call.
#pragma once

#include "partition/partition_policy.hpp"
#include "partition/row_security.hpp"

namespace privacy_scan::partition
{

struct Blueprint {
    std::string create_head, create_tail; // CREATE TABLE name (LIKE parent INCLUDING ALL ...) ...
    std::vector<Statement> dress;         // before it is attached
    RowSecurity row_security;             // likewise
    bool default_privileges = false;      // somebody's ALTER DEFAULT PRIVILEGES may have granted rights on it
    bool statistics_targets = false;      // extended statistics have targets of their own
    char replica_identity = 'd';
    std::vector<Oid> related; // by foreign keys, either way: attaching locks them against writers
};

// Reads the parent and, for what a partitioned parent can't hold (storage parameters, access method), a table
// that has it: one of its partitions, or InvalidOid. Runs inside OwnerScope: expressions are deparsed under
// its search_path.
Blueprint read_blueprint(pg::Spi &spi, Oid parent, Oid storage_model);
Blueprint read_blueprint(pg::Spi &spi, const PartitionSet &set, const Layout &layout); // of the newest

// A free name in the parent's schema.
std::string new_partition_name(Oid parent, const std::string &suffix);

enum class WithIndexes { yes, no };

// Makes an unattached table of that (unqualified) name, dressed as a partition. Returns its OID.
Oid create_table(pg::Spi &spi, Oid parent, const Blueprint &blueprint, const std::string &name,
                 WithIndexes indexes);

// FOR VALUES FROM .. TO .., MINVALUE and MAXVALUE at the ends of the axis.
std::string bounds_clause(const KeyAxis &key, const Cell &bounds);

// Attaches it. bounds empty: as the DEFAULT partition.
void attach_table(pg::Spi &spi, const PartitionSet &set, const Blueprint &blueprint, Oid relid,
                  const std::optional<Cell> &bounds);

// The same to any parent, by bounds as PostgreSQL writes them: FOR VALUES FROM .. TO ..
void attach_table(pg::Spi &spi, Oid parent, const Blueprint &blueprint, Oid relid, const std::string &bounds);

} // namespace privacy_scan::partition
