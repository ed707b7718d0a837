// Building an index online, on a table or on a whole partition set, in steps that go on from wherever an
// earlier run came to its end: the parent's index by itself, each leaf's CONCURRENTLY by a process of its
// own, each attached under a lock of a moment. Reads and writes go on all the time.
#pragma once

#include "index/index_catalog.hpp"
#include "pg/lock.hpp"
#include "pg/session_lock.hpp"

#include <map>
#include <set>

namespace privacy_scan::index
{

// What a step has done.
struct Done {
    std::string relation, index; // names; the relation's with its schema
    Action action;
    double ms;
    pg::LockWait wait;
};

class IndexBuild
{
  public:
    // Errors: those of members_of() and check_columns(); 55006 where another session is at it.
    IndexBuild(pg::Spi &spi, Wish wish);

    // Does the next step in the caller's transaction, which then commits, and which must be fresh: no
    // statement was run in it. False where nothing is left to do. What a failed step left behind is removed
    // by the steps after it, before its error is thrown. Errors: 55P03 with who was in the way; 55000 where
    // the catalog says what cannot be gone on from; 53000; those of the statements, 23505 among them.
    bool step(pg::Spi &spi);

    const std::vector<Done> &done() const { return done_; }

  private:
    // A statement that has to be the first of its transaction.
    struct Pending {
        pg::OwnedTable table;
        Action action;
        std::string name, sql;
    };

    void start_pass(pg::Spi &spi);
    std::optional<Site> read_site(pg::Spi &spi, const Member &member);
    bool decide(pg::Spi &spi);
    void act(pg::Spi &spi, const Member &member, Oid parent_index, const Step &step);
    void require_first_time(Oid relid);
    bool prepare_drop(pg::Spi &spi, const Member &member);
    void run_pending();
    void clean_up(pg::Spi &spi);
    [[noreturn]] void give_up(bool is_clean);
    void run_locked(pg::Spi &spi, const pg::OwnedTable &locked, int lockmode, const std::string &sql,
                    Done done);
    void require_valid(pg::Spi &spi);

    Wish wish_;
    pg::SessionLock lock_;
    std::vector<Member> members_;
    std::size_t next_ = 0;
    bool has_acted_ = false;
    std::map<Oid, Oid> index_of_; // of the relations that are done in this pass
    std::set<Oid> made_;
    std::optional<Pending> pending_;
    std::optional<pg::Error> failure_; // thrown once what it left is gone
    std::vector<Done> done_;
};

} // namespace privacy_scan::index
