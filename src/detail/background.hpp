#pragma once

#include <boost/intrusive/slist.hpp>

namespace netring_asio::detail {

/// Work that blocks for a while, such as the last close of a packet socket, which waits for an RCU grace period.
class background_task : public boost::intrusive::slist_base_hook<> {
public:
    /// Runs once on the helper thread of the process; the task may delete itself.
    virtual void run() noexcept = 0;

protected:
    ~background_task() = default;
};

/// Hands a task to the helper thread, which the first call starts. Tasks run in order. Never blocks, and allocates only
/// when it starts the thread; where the system has no thread left, the task runs here.
void run_in_background(background_task& task) noexcept;

} // namespace netring_asio::detail
