// Partition sets: the policies in privacy_scan.partition_policies, and what follows from one.
#pragma once

#include "partition/partition_layout.hpp"
#include "partition/step_grid.hpp"
#include "pg/owner.hpp"
#include "pg/spi.hpp"

namespace privacy_scan::partition
{

// An interval's three fields, as PostgreSQL has them.
struct IntervalFields {
    std::int32_t months;
    std::int32_t days;
    std::int64_t usecs;
};

struct Policy {
    Oid relid = InvalidOid;
    std::string key; // as the caller named it; not stored: the catalog knows the key, also after a rename
    std::optional<IntervalFields> every; // temporal keys
    std::optional<std::int64_t> step;    // integer keys
    std::int32_t premake = 4;
    std::string time_zone = "UTC";
    bool default_partition = true;
    std::string key_kind; // of ids; empty for other keys
};

// A policy with its relation at hand. Built anew for every call; nothing is cached between calls.
class PartitionSet
{
  public:
    // Checks the relation and the policy against it. Errors: see key_column(); 42703 and 42P16 for the key;
    // 22023 for interval, step, premake, zone and kind; 42P22 for a collation that doesn't sort ids by time.
    PartitionSet(pg::OwnedTable table, Policy policy);

    const pg::OwnedTable &table() const { return table_; }
    const Policy &policy() const { return policy_; }
    const KeyAxis &key() const { return *key_; }
    const Grid &grid() const { return *grid_; }
    Layout layout() const; // error 42P17 where a bound is no time of the key's kind
    const std::string &name() const { return name_; } // qualified, quoted

  private:
    pg::OwnedTable table_;
    Policy policy_;
    std::string name_;
    std::unique_ptr<Zone> zone_;
    std::unique_ptr<KeyAxis> key_;
    std::unique_ptr<Grid> grid_;
};

// As SQL: true where the key, a quoted column, is an id of the kind.
std::string fits_kind(const std::string &kind, const std::string &key);

// What a policy says, for a relation that may not be partitioned yet. Errors 22023.
std::unique_ptr<Grid> make_grid(const KeyAxis &key, const Policy &policy);
void check_premake(std::int32_t premake);

// Refuses a step for a time key, an interval for an integer key. Error 22023.
[[noreturn]] void refuse_width(const KeyAxis &key);

// NULL where there is none.
pg::Param interval_param(const std::optional<IntervalFields> &fields);

std::optional<Policy> find_policy(pg::Spi &spi, Oid relid);
Policy require_policy(pg::Spi &spi, Oid relid);   // error 42704 where the relation isn't managed
std::vector<Oid> managed_relations(pg::Spi &spi); // those that the caller owns, by name
void insert_policy(pg::Spi &spi, const Policy &policy);
void update_policy(pg::Spi &spi, const Policy &policy);
bool delete_policy(pg::Spi &spi, Oid relid);
// Forgets the policies of relations that were dropped.
void forget_dropped(pg::Spi &spi);

} // namespace privacy_scan::partition
