// Rights on the relations that we make for a user.
#pragma once

#include "pg/spi.hpp"

namespace privacy_scan::pg
{

// Takes back what ALTER DEFAULT PRIVILEGES gave on a relation that was just made: its owner has all rights,
// nobody else has any. As the owner.
void undo_default_privileges(Spi &spi, Oid relid);

} // namespace privacy_scan::pg
