#include <netring_asio/detail/shard_thread.hpp>
#include <netring_asio/shards_options.hpp>

#include <array>
#include <cerrno>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace netring_asio {

std::size_t shards_options::count() const noexcept {
    if (count_)
        return *count_;
    cpu_set_t usable;
    CPU_ZERO(&usable);
    if (::sched_getaffinity(0, sizeof usable, &usable) == 0)
        return static_cast<std::size_t>(CPU_COUNT(&usable));
    return std::thread::hardware_concurrency();
}

namespace detail {

shard_thread::~shard_thread() { end(); }

void shard_thread::end() {
    halt();
    if (!std::exchange(is_released_, true))
        released_.set_value();
    join();
}

void shard_thread::start(std::optional<int> processor, numa_policy numa, std::function<void()> prepare) {
    std::promise<void> opened;
    auto result = opened.get_future();
    thread_ = std::thread{[this, processor, numa, opened = std::move(opened), prepare = std::move(prepare)]() mutable {
        try {
            if (processor)
                bind_to(*processor);
            take_memory_by(numa);
            prepare();
        } catch (...) {
            opened.set_exception(std::current_exception());
            return;
        }
        opened.set_value();
        released_.get_future().wait();
        if (body_)
            run();
    }};
    result.get();
}

void shard_thread::bind_to(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (processor >= 0 && processor < CPU_SETSIZE)
        CPU_SET(static_cast<std::size_t>(processor), &set);
    if (int const code = ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set); code != 0)
        throw system_error{error_code{code, boost::system::system_category()},
                           "processor " + std::to_string(processor)};
}

void shard_thread::take_memory_by(numa_policy policy) {
    if (policy == numa_policy::inherited)
        return;
    unsigned processor = 0, node = 0;
    constexpr std::size_t bits = 8 * sizeof(unsigned long);
    std::array<unsigned long, 1024 / bits> nodes{};
    if (policy == numa_policy::strict && ::getcpu(&processor, &node) == 0 && node < 1024)
        nodes[node / bits] = 1UL << node % bits;
    auto const done = policy == numa_policy::local
                          ? ::syscall(SYS_set_mempolicy, MPOL_LOCAL, nullptr, 0)
                          : ::syscall(SYS_set_mempolicy, MPOL_BIND, nodes.data(), bits * nodes.size());
    if (done != 0 && errno != ENOSYS)
        throw system_error{error_code{errno, boost::system::system_category()}, "numa"};
}

void shard_thread::release(std::function<void()> body, std::function<void(std::exception_ptr)> failed) {
    body_ = std::move(body);
    failed_ = std::move(failed);
    boost::asio::post(context, [this] { body_(); }); // before any visit
    running_ = true;
    is_released_ = true;
    released_.set_value();
}

void shard_thread::run() {
    for (bool ended = false; !ended;) {
        try {
            if (halted_)
                context.poll_one(); // for visits alone
            else
                context.run();
            std::lock_guard const lock{mutex_};
            ended = visits_ == 0;
            running_ = !ended;
            if (!ended)
                context.restart();
        } catch (...) {
            failed_(std::current_exception());
        }
    }
    body_ = nullptr;
}

void shard_thread::halt() {
    halted_ = true;
    context.stop();
}

void shard_thread::visit(std::function<void()> function) {
    std::packaged_task<void()> task{std::move(function)};
    auto done = task.get_future();
    std::unique_lock lock{mutex_};
    if (running_) {
        ++visits_;
        boost::asio::post(context, [this, task = std::move(task)]() mutable {
            task();
            std::lock_guard const count{mutex_};
            --visits_;
        });
        lock.unlock();
    } else {
        lock.unlock();
        task();
    }
    done.get();
}

void shard_thread::join() {
    if (thread_.joinable())
        thread_.join();
}

} // namespace detail
} // namespace netring_asio
