// VACUUM of the relations from which rows went one by one, where it is worth it, in steps of a transaction
// each. The rows that a run removes are rarely a fifth of a relation, which is when autovacuum would come:
// until then their space isn't used again, and index-only scans look into the heap.
#pragma once

#include "pg/owner.hpp"
#include "pg/spi.hpp"

namespace privacy_scan::retention
{

class LeafVacuum
{
  public:
    // emptied: of those that are left empty the space is given back, too, however few their pages are.
    LeafVacuum(std::vector<Oid> thinned, std::vector<Oid> emptied)
        : relids_(std::move(thinned)), emptied_(std::move(emptied))
    {
    }

    // Chooses the next relation, or, as the first act of a fresh transaction, has the chosen one vacuumed by
    // a process of its own; the caller commits. A relation is worth it from
    // privacy_scan.retention_vacuum_percent of its pages on that are not known to be visible to all. What
    // cannot be vacuumed now is left to autovacuum, with a WARNING. False where none is left.
    bool step(pg::Spi &spi);

    Oid chosen() const { return chosen_ ? chosen_->table.relid : InvalidOid; }

  private:
    struct Choice {
        pg::OwnedTable table;
        std::string name;
        bool is_emptied;
    };

    bool choose_emptied();
    bool choose_thinned();
    static void vacuum(const Choice &choice);

    std::vector<Oid> relids_, emptied_;
    std::optional<Choice> chosen_;
};

} // namespace privacy_scan::retention
