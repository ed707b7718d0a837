// See leaf_vacuum.hpp.
#include "pg/postgres.hpp"

#include "retention/leaf_vacuum.hpp"

#include "pg/ident.hpp"
#include "pg/relation.hpp"
#include "pg/subxact.hpp"
#include "pg/top_level.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <access/visibilitymap.h>
#include <storage/bufmgr.h>
}

namespace privacy_scan::retention
{

namespace
{

// Fewer pages are read in no time, whatever the visibility map says of them.
constexpr std::int64_t least_pages = 100;

// Red.
bool is_worth_it(Relation relation, int percent)
{
    const std::int64_t pages = RelationGetNumberOfBlocks(relation);
    BlockNumber visible = 0;
    visibilitymap_count(relation, &visible, nullptr);
    const std::int64_t others = pages - visible;
    return others >= least_pages && others * 100 >= pages * percent;
}

bool is_worth_it(const pg::OwnedTable &table)
{
    const int percent = settings::retention_vacuum_percent();
    if (percent == 0)
        return false;
    pg::lock_owned(table, AccessShareLock);
    const pg::RelationScope relation(table.relid, AccessShareLock);
    Relation rel = relation.get();
    return rel->rd_rel->relkind == RELKIND_RELATION && pg::guarded([=] { return is_worth_it(rel, percent); });
}

} // namespace

// In both, what is gone, or locked by somebody, is passed over.
bool LeafVacuum::choose_emptied()
{
    while (!chosen_ && !emptied_.empty()) {
        const Oid relid = emptied_.back();
        emptied_.pop_back();
        if (settings::retention_vacuum_percent() > 0)
            (void)pg::try_in_subtransaction([&] {
                chosen_ = Choice{pg::require_owner(relid), pg::qualified_name(relid), true};
            });
    }
    return chosen_.has_value();
}

bool LeafVacuum::choose_thinned()
{
    while (!chosen_ && !relids_.empty()) {
        const Oid relid = relids_.back();
        relids_.pop_back();
        (void)pg::try_in_subtransaction([&] {
            const pg::OwnedTable table = pg::require_owner(relid);
            if (is_worth_it(table))
                chosen_ = Choice{table, pg::qualified_name(relid), false};
        });
    }
    return chosen_.has_value();
}

bool LeafVacuum::step(pg::Spi &)
{
    if (chosen_) {
        vacuum(*std::exchange(chosen_, std::nullopt));
        return true;
    }
    return choose_emptied() || choose_thinned();
}

// Where rows are left, without the lock for which others would have to wait while it gives space at the end
// back. In one that is empty nobody has much to look for; VACUUM doesn't queue for that lock, and gives it up for
// whoever waits.
void LeafVacuum::vacuum(const Choice &choice)
{
    try {
        pg::run_top_level(choice.table,
                          (choice.is_emptied ? "VACUUM " : "VACUUM (TRUNCATE false) ") + choice.name,
                          settings::lock_timeout_ms());
    } catch (const pg::Error &error) {
        const pg::ErrorText text = pg::text_of(error);
        const char *relation = choice.name.c_str(), *code = text.sqlstate.c_str(),
                   *message = text.message.c_str();
        pg::guarded([=] {
            ereport(WARNING, (errmsg("%s was not vacuumed: SQLSTATE %s: %s", relation, code, message)));
        });
    }
}

} // namespace privacy_scan::retention
