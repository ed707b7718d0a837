// See adoption.hpp.
#include "pg/postgres.hpp"

#include "adopt/adoption.hpp"

#include "pg/ident.hpp"

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::adopt
{

std::optional<Adoption> find_adoption(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT relation::oid, key_number::int4, every, premake, time_zone, default_partition,"
                " cutover, parent::oid, key_added, key_kind, unique_id FROM privacy_scan.adoption_states"
                " WHERE relation = $1 OR parent = $1",
                {pg::regclass_param(relid)});
    if (rows.empty())
        return std::nullopt;
    Adoption adoption;
    adoption.relid = rows.oid(0, 1);
    adoption.key_number = static_cast<AttrNumber>(rows.int4(0, 2));
    const Interval *every = DatumGetIntervalP(rows.datum(0, 3));
    adoption.policy.relid = adoption.relid;
    adoption.policy.every = partition::IntervalFields{every->month, every->day, every->time};
    adoption.policy.premake = rows.int4(0, 4);
    adoption.policy.time_zone = rows.text(0, 5);
    adoption.policy.default_partition = rows.boolean(0, 6);
    adoption.cutover = rows.int8(0, 7);
    if (!rows.is_null(0, 8))
        adoption.parent = rows.oid(0, 8);
    adoption.key_added = rows.boolean(0, 9);
    adoption.policy.key_kind = rows.text(0, 10);
    adoption.unique_id = rows.boolean(0, 11);
    return adoption;
}

Adoption require_adoption(pg::Spi &spi, Oid relid)
{
    std::optional<Adoption> adoption = find_adoption(spi, relid);
    if (!adoption)
        pg::fail(ERRCODE_UNDEFINED_OBJECT,
                 "relation \"" + pg::relation_name(relid) + "\" is not being adopted", {},
                 "Call privacy_scan.adopt_table() first.");
    return *adoption;
}

void insert_adoption(pg::Spi &spi, const Adoption &adoption)
{
    pg::CatalogScope scope;
    const partition::Policy &policy = adoption.policy;
    spi.run("DELETE FROM privacy_scan.adoption_states s WHERE NOT EXISTS"
            " (SELECT FROM pg_catalog.pg_class c WHERE c.oid = coalesce(s.parent, s.relation))");
    spi.run(
        "INSERT INTO privacy_scan.adoption_states"
        " (relation, key_number, every, premake, time_zone, default_partition, cutover, key_kind, unique_id)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        {pg::regclass_param(adoption.relid), pg::datum_param(INT2OID, Int16GetDatum(adoption.key_number)),
         partition::interval_param(policy.every), pg::int4_param(policy.premake),
         pg::text_param(policy.time_zone), pg::bool_param(policy.default_partition),
         pg::timestamptz_param(adoption.cutover), pg::text_or_null(policy.key_kind),
         pg::bool_param(adoption.unique_id)});
}

bool delete_adoption(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    return spi.run("DELETE FROM privacy_scan.adoption_states WHERE relation = $1",
                   {pg::regclass_param(relid)})
               .affected() > 0;
}

void store_cutover(pg::Spi &spi, Oid relid, std::int64_t cutover)
{
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.adoption_states SET cutover = $2 WHERE relation = $1",
            {pg::regclass_param(relid), pg::timestamptz_param(cutover)});
}

void store_switch(pg::Spi &spi, Oid relid, Oid parent, double lock_held_ms, int tries, bool key_added)
{
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.adoption_states SET parent = $2, switched_at = clock_timestamp(),"
            " lock_held_ms = $3, lock_tries = $4, key_added = $5, last_error = NULL, last_error_at = NULL "
            "WHERE relation = $1",
            {pg::regclass_param(relid), pg::regclass_param(parent), pg::float8_param(lock_held_ms),
             pg::int4_param(tries), pg::bool_param(key_added)});
}

void store_error(pg::Spi &spi, Oid relid, const pg::ErrorText &error)
{
    pg::CatalogScope scope;
    spi.run("UPDATE privacy_scan.adoption_states SET last_error = $2, last_error_at = clock_timestamp()"
            " WHERE relation = $1",
            {pg::regclass_param(relid), pg::text_param(error.sqlstate + ": " + error.message)});
}

} // namespace privacy_scan::adopt
