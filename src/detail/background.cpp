#include "background.hpp"

#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include <signal.h>

namespace netring_asio::detail {
namespace {

class helper_thread {
public:
    bool hand_over(background_task& task) noexcept {
        {
            std::lock_guard const lock{mutex_};
            if (!thread_.joinable() && !start())
                return false;
            tasks_.push_back(task);
        }
        wake_.notify_one();
        return true;
    }

private:
    using task_list = boost::intrusive::slist<background_task, boost::intrusive::cache_last<true>>;

    bool start() noexcept {
        // The application's signals are for its own threads.
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        try {
            thread_ = std::thread{[this] { run(); }};
        } catch (std::system_error const&) {
        }
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return thread_.joinable();
    }

    void run() noexcept {
        std::unique_lock lock{mutex_};
        for (;;) {
            wake_.wait(lock, [this] { return !tasks_.empty(); });
            auto& task = tasks_.front();
            tasks_.pop_front();
            lock.unlock();
            task.run();
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    task_list tasks_;
    std::thread thread_;
};

} // namespace

void run_in_background(background_task& task) noexcept {
    // Never destroyed: objects with static storage duration may close after any destructor of ours would have run.
    static auto& helper = *new helper_thread;
    if (!helper.hand_over(task))
        task.run();
}

} // namespace netring_asio::detail
