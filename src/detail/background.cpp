#include "background.hpp"

#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <pthread.h>
#include <signal.h>

namespace netring_asio::detail {
namespace {

class helper_thread {
public:
    helper_thread() = default;
    /// In a child process, which has all of the other but its thread.
    explicit helper_thread(helper_thread& before)
        : tasks_{std::move(before.tasks_)} {}

    std::mutex& mutex() noexcept { return mutex_; }

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

// Never destroyed: objects with static storage duration may close after any destructor of ours would have run.
helper_thread* helper = nullptr;

} // namespace

void run_in_background(background_task& task) noexcept {
    [[maybe_unused]] static bool const once = [] {
        helper = new helper_thread;
        ::pthread_atfork([] { helper->mutex().lock(); }, [] { helper->mutex().unlock(); },
                         [] { helper = new helper_thread{*helper}; });
        return true;
    }();
    if (!helper->hand_over(task))
        task.run();
}

} // namespace netring_asio::detail
