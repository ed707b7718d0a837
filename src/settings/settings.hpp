// The extension's settings (GUCs), one table in settings.cpp. Values are read through these functions.
#pragma once

namespace privacy_scan::settings
{

// Defines them all. Red: called once, from _PG_init.
void define();

int lock_timeout_ms();       // privacy_scan.lock_timeout
int lock_attempts();         // privacy_scan.lock_attempts
int monitor_sample_days();   // privacy_scan.monitor_sample_days
int partition_max_created(); // privacy_scan.partition_max_created
int partition_max_ahead();   // privacy_scan.partition_max_ahead
int retention_batch_rows();  // privacy_scan.retention_batch_rows

} // namespace privacy_scan::settings
