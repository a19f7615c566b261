#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/shards_options.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

namespace netring_asio::detail {

/// A context and the thread that runs it until it is out of work.
class NETRING_ASIO_API shard_thread {
public:
    shard_thread() = default;
    shard_thread(shard_thread const&) = delete;
    shard_thread& operator=(shard_thread const&) = delete;
    ~shard_thread();

    /// Starts the thread on a processor, with memory by a policy, and has it prepare; what that throws is thrown here.
    /// The thread then waits.
    void start(std::optional<int> processor, numa_policy numa, std::function<void()> prepare);
    /// Has the thread run the body and its context. What they throw is handed over, and the context goes on.
    void release(std::function<void()> body, std::function<void(std::exception_ptr)> failed);
    /// Calls a function on the thread, between handlers, or here where that has ended. Returns when it has returned,
    /// and throws what it threw.
    void visit(std::function<void()> function);
    /// Has the context stop where it is.
    void halt();
    void join();
    /// Halts and joins, also where nothing was released.
    void end();

    boost::asio::io_context context{1};

private:
    static void bind_to(int processor);
    static void take_memory_by(numa_policy policy);
    void run();

    std::function<void()> body_;
    std::function<void(std::exception_ptr)> failed_;
    std::promise<void> released_;
    std::mutex mutex_;
    std::size_t visits_ = 0; // posted and not made
    bool running_ = false;
    bool is_released_ = false;
    std::atomic<bool> halted_{false};
    std::thread thread_;
};

} // namespace netring_asio::detail
