// The extension's settings (GUCs), one table in settings.cpp. Values are read through these functions.
#pragma once

namespace privacy_scan::settings
{

// Defines them all. Red: called once, from _PG_init.
void define();

int archive_drill_size_kb();      // privacy_scan.archive_drill_size; 0: any
int archive_level();              // privacy_scan.archive_level
int archive_sample();             // privacy_scan.archive_sample
int clock_offset_s();             // privacy_scan.clock_offset
int concurrent_lock_timeout_ms(); // privacy_scan.concurrent_lock_timeout
int job_history();                // privacy_scan.job_history
int job_timeout_ms();             // privacy_scan.job_timeout
int lock_timeout_ms();            // privacy_scan.lock_timeout
int lock_attempts();              // privacy_scan.lock_attempts
int monitor_sample_days();        // privacy_scan.monitor_sample_days
int partition_max_created();      // privacy_scan.partition_max_created
int partition_max_ahead();        // privacy_scan.partition_max_ahead
int retention_batch_rows();       // privacy_scan.retention_batch_rows
int retention_keep_partitions();  // privacy_scan.retention_keep_partitions
int retention_quiet_days();       // privacy_scan.retention_quiet_days
int retention_run_rows();         // privacy_scan.retention_run_rows
int retention_vacuum_percent();   // privacy_scan.retention_vacuum_percent
int retention_whole_rows();       // privacy_scan.retention_whole_rows
int split_disk_reserve_mb();      // privacy_scan.split_disk_reserve
int split_rate_kb();              // privacy_scan.split_rate, KB/s; 0: none
int split_slice_ms();             // privacy_scan.split_slice
int worker_max();                 // privacy_scan.worker_max
int worker_naptime_s();           // privacy_scan.worker_naptime
const char *archive_directory();  // privacy_scan.archive_directory
const char *databases();          // privacy_scan.databases

} // namespace privacy_scan::settings
