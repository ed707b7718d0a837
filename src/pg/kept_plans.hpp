// Plans that are kept: of queries that are asked before strong locks are taken, and again under them, for as long as that takes; and of
// constant statements, for the session. Making them costs more than the statements.
#pragma once

#include "pg/guc.hpp"
#include "pg/spi.hpp"

#include <map>

namespace privacy_scan::pg
{

// While it lives, Spi::run() keeps the plans of the connection's queries, which are made without a look at
// the parameters' values. One at a time.
class KeptPlans
{
  public:
    explicit KeptPlans(Spi &spi);
    KeptPlans(const KeptPlans &) = delete;
    KeptPlans &operator=(const KeptPlans &) = delete;
    ~KeptPlans();

    // Of this query; null where the statement is none.
    SPIPlanPtr plan_of(const std::string &sql, int count, Oid *types);

  private:
    Spi &spi_;
    GucScope settings_;
    std::map<std::string, SPIPlanPtr> plans_;
    int in_flight_;
};

// Of a text of Spi::run_kept(): made when it is first asked for, then kept until the session's end, through errors, too; PostgreSQL makes
// it anew where what it rests on has changed. Error: XX000 where the parameters' types are others than then.
SPIPlanPtr saved_plan(const std::string &sql, int count, Oid *types);

} // namespace privacy_scan::pg
