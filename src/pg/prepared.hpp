// A statement that runs very often, prepared once.
#pragma once

#include "pg/spi.hpp"

namespace privacy_scan::pg
{

// Lives within its connection. The plan is made without a look at values.
class Prepared
{
  public:
    Prepared(Spi &spi, const std::string &sql, const std::vector<Oid> &types);
    Prepared(const Prepared &) = delete;
    Prepared &operator=(const Prepared &) = delete;
    ~Prepared();

    // As many values as there are types; nulls: 'n' where it is NULL, otherwise a blank.
    Rows run(Datum *values, const char *nulls);

  private:
    SPIPlanPtr plan_;
    int in_flight_;
};

} // namespace privacy_scan::pg
