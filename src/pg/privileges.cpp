// See privileges.hpp.
#include "pg/privileges.hpp"

#include "pg/ident.hpp"

namespace privacy_scan::pg
{

void undo_default_privileges(Spi &spi, Oid relid)
{
    if (spi.run("SELECT relacl IS NULL FROM pg_catalog.pg_class WHERE oid = $1", {oid_param(relid)})
            .boolean(0, 1))
        return; // nothing was given
    const std::string relation = qualified_name(relid);
    Rows others = spi.run("SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC'"
                          " ELSE quote_ident(pg_get_userbyid(a.grantee)::text) END"
                          " FROM pg_catalog.pg_class c, aclexplode(c.relacl) a"
                          " WHERE c.oid = $1 AND a.grantee <> c.relowner",
                          {oid_param(relid)});
    for (std::size_t row = 0; row < others.size(); ++row)
        spi.run("REVOKE ALL ON " + relation + " FROM " + others.text(row, 1));
    spi.run("GRANT ALL ON " + relation + " TO " + quote(role_name(GetUserId())));
}

} // namespace privacy_scan::pg
