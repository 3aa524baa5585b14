// The shop, as pm2 runs it.
const path = require('path');

console.log('what is printed here is not part of the configuration');

const shared = { NODE_ENV: 'development', RETRIES: 3, DEBUG: false, NESTED: { a: [1, 2] }, NOTHING: null };

module.exports = {
  apps: [
    {
      name: 'web',
      script: './shop/server.sh',
      args: ['--title', 'two words', '--count', 3],
      interpreter: 'sh',
      cwd: __dirname,
      port: 9000,
      env: shared,
      env_production: { NODE_ENV: 'production', ONLY: 'production' },
      env_staging: { NODE_ENV: 'staging' },
      max_memory_restart: '300M',
      restart_delay: 4000,
      max_restarts: 10,
      min_uptime: '5s',
      kill_timeout: 3500,
      out_file: 'logs/web.log',
      error_file: 'logs/web.log',
      time: true,
      watch: ['shop'],
      ignore_watch: ['logs'],
      wait_ready: true,
      listen_timeout: 5000,
      cron_restart: '0 3 * * *',
    },
    {
      name: 'crew',
      script: path.join(__dirname, 'shop', 'worker.sh'),
      args: '--queue high --title "two words" --who=\'a b\'',
      interpreter: '/bin/sh',
      interpreter_args: '-e',
      cwd: path.join(__dirname, 'shop'),
      instances: 2,
      exec_mode: 'fork',
      increment_var: 'PORT',
      env: { PORT: 9100 },
      exp_backoff_restart_delay: 100,
      stop_exit_codes: [0, 3],
      namespace: 'night shift',
      merge_logs: true,
      out_file: '/dev/null',
      error_file: 'NULL',
      treekill: false,
    },
    {
      script: 'sleep 100000 && echo done',
      name: 'line',
      autorestart: false,
      autostart: false,
      uid: 'root',
    },
  ],
  deploy: { production: { user: 'deploy', host: 'example.com' } },
};
