// The settings that no database, role or session may bend while we work: one list for statements on users'
// tables, one for a process of ours.
#pragma once

#include "pg/guc.hpp"

namespace privacy_scan::pg
{

// For the statements within the scope: names, output formats, defaults of what is created.
void pin_for_statements(GucScope &settings);

// Red. Both lists, for the life of a background worker; called before it connects, so that what ALTER
// DATABASE and ALTER ROLE say comes too late.
void pin_for_process();

} // namespace privacy_scan::pg
