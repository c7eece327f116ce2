-- What the redis: store runs on the server: a batch of operations, at once
-- or not at all.
--
-- KEYS[1] is the lease of the process: "epoch:sequence:" of its last batch,
-- when that was, and its codes; then the same of the one before.  A batch that
-- does not follow the last one (one of a connection given up, or one before
-- which another failed) does nothing.
-- What a process has reserved is gone when its lease is not renewed in time.
--
-- ARGV[1] and ARGV[2] are how the lease begins before and after this batch.
-- ARGV[3] is the time or -1, a lease's length, how long its key is to stay (0:
-- as it does), whether keys expire, how many operations the batch before had,
-- and how many there are; then these: a letter, a number, how many windows, the
-- windows, and what belongs to the letter.  A window has a kind (units, a
-- member, anybody), its length, how many may be, and how many more; members
-- have more.  The other KEYS are taken in the order in which operations name
-- them.
--
-- The answer has a code for each operation, then three numbers of each that
-- tells some; where notes were found, it is a list of that and them.
local call, read, pack, sub = redis.call, struct.unpack, struct.pack, string.sub
local keys, was, blob = KEYS, ARGV[1], ARGV[3]
local values = call('MGET', unpack(keys))
local lease, me, key_at = values[1], sub(keys[1], -16), 1
local now, lease_ms, stay_ms, expire, before, nops, at = read('<dddBHH', blob)
expire = expire == 1

if not lease or sub(lease, 1, #was) ~= was then
	return redis.error_reply('STALE')
end
if now < 0 then
	local t = call('TIME')
	now = t[1] * 1000 + math.floor(t[2] / 1000)
end

-- A counter of units has a value: the number h of the newest slot, the sum s of
-- the window and what the newest slot has of it; how many processes have a
-- place, and of each, the writer first, its name and what it has reserved (p:
-- we, o: the others); and the older slots, the oldest first: how much older
-- than h, and what counted in them (in c.v, from c.from on).
local HEAD, HEAD_LEN, UNITS = '<dddHc16d', 50, 0
-- What this batch has changed: the head alone, or a table of it all.
local heads, units = {}, {}
local codes, numbers, texts = {}, {}, nil

-- A reservation or a commit on counters of units that nobody shares just now,
-- in their newest slots, and where it fits; nil: it needs more than that.
local function plain(letter, n)
	local made, a = n > 1 and {} or heads, at
	for i = key_at + 1, key_at + n do
		local kind, w, max, cost, k, v
		kind, w, max, cost, a = read('<Bddd', blob, a)
		k = keys[i]
		v = kind == UNITS and not units[k] and (heads[k] or values[i])
		if not v or n > 1 and made[k] then return nil end
		local h, s, cur, places, writer, p = read(HEAD, v)
		if places > 1 or writer ~= me and p > 0 or now * 60 >= (h + 1) * w then return nil end
		if letter == 'R' and s + p + cost <= max then p = p + cost
		elseif letter == 'C' and cost <= p then s, cur, p = s + cost, cur + cost, p - cost
		else return nil end
		made[k] = pack(HEAD, h, s, cur, 1, me, p)
	end
	if n > 1 then
		for k, v in pairs(made) do heads[k] = v end
	end
	at, key_at = a, key_at + n
	return '0'
end

-- A server makes all functions anew for each batch: those that most operations
-- can do without are made when one can't.
local make_ops, make_sets
local ops, sets

function make_ops()
	local alive = { [me] = true }

	-- Does the process still keep its lease?
	local function lives(p)
		if alive[p] == nil then
			local v = call('GET', sub(keys[1], 1, -17) .. p)
			local a = v and string.match(v, '^[^:]*:[^:]*:()')
			alive[p] = a ~= nil and read('<d', v, a) + lease_ms > now
		end
		return alive[p]
	end

	-- Who else has reserved something; other places are given up.
	local function places(c)
		local left = {}
		c.p = 0
		for a = 27, c.from - 24, 24 do
			local p, n = read('<c16d', c.v, a)
			if p == me then c.p = n
			elseif n > 0 then
				left[#left + 1] = sub(c.v, a, a + 23)
				c.o = c.o + n
			else c.whole = true end
		end
		c.others = table.concat(left)
	end

	-- Who died has nothing.
	local function bury(c)
		if c.others == '' then return end
		local left, o = {}, 0
		for a = 1, #c.others, 24 do
			local p, n = read('<c16d', c.others, a)
			if n > 0 and lives(p) then
				left[#left + 1] = sub(c.others, a, a + 23)
				o = o + n
			end
		end
		if #left * 24 < #c.others then c.whole, c.dirty = true, true end
		c.others, c.o = table.concat(left), o
	end

	-- A newer slot begins: drops what has left the window.
	local function move(c, h)
		local left, s, by, cur = {}, 0, h - c.h, c.cur
		for a = c.from, #c.v, 8 do
			local d, n = read('<BI7', c.v, a)
			if d + by <= 60 then
				left[#left + 1] = pack('<BI7', d + by, n)
				s = s + n
			end
		end
		if cur > 0 and by <= 60 then
			left[#left + 1] = pack('<BI7', by, cur)
			s = s + cur
		end
		c.h, c.s, c.cur, c.v, c.from, c.whole = h, s, 0, table.concat(left), 1, true
		bury(c)
	end

	local function unit(w)
		key_at = key_at + 1
		local k, v, h = keys[key_at], values[key_at], math.floor(now * 60 / w)
		local c = units[k]
		if c then return c end
		c = { w = w, h = h, s = 0, cur = 0, p = 0, o = 0, others = '', v = '', from = 1,
			whole = true, dirty = false }
		units[k] = c
		if not v then return c end
		if heads[k] then v, heads[k], c.dirty = heads[k] .. sub(v, HEAD_LEN + 1), nil, true end
		local n, writer
		c.h, c.s, c.cur, n, writer, c.p = read(HEAD, v)
		c.v, c.from, c.whole = v, 27 + 24 * n, writer ~= me
		if n > 1 or c.whole and c.p > 0 then places(c) end
		if h > c.h then move(c, h) end
		return c
	end

	-- One window of an operation: its counter, how many may be, how many more,
	-- what must fit besides, and the member: nil for units, '*' for anybody.
	local function window()
		local kind, w, max, cost
		kind, w, max, cost, at = read('<Bddd', blob, at)
		if kind == UNITS then return unit(w), max, cost, 0 end
		return (sets or make_sets()).window(kind, w, max, cost)
	end

	-- When that many have left the window.
	local function when(c, want)
		local n, i = 0, c.h
		for a = c.from, #c.v, 8 do
			local d, m = read('<BI7', c.v, a)
			n = n + m
			if n >= want then i = c.h - d break end
		end
		return math.ceil((i + 61) * c.w / 60) - now
	end

	-- Whether it is full, what is used, how long until it fits.
	local function fits(c, max, want, room, m)
		if m then return sets.fits(c, max, m, room) end
		want = want + room
		local used = c.s + c.p + c.o
		if want > max then return true, used, c.w end
		if want == 0 or used + want <= max then return false, used, 0 end
		bury(c)
		used = c.s + c.p + c.o
		if used + want <= max then return false, used, 0 end
		return true, used, when(c, used + want - max)
	end

	local function release(c, cost, m)
		if m then sets.release(c, m)
		elseif c.p > 0 and cost > 0 then
			c.p, c.dirty = cost < c.p and c.p - cost or 0, true
		end
	end

	local function count(c, cost, m)
		if m then sets.count(c, m)
		elseif cost > 0 then c.s, c.cur, c.dirty = c.s + cost, c.cur + cost, true end
	end

	-- All windows or none.
	local function reserve(_, n)
		local at_first, key_first, over = at, key_at, nil
		local index, used, retry = 0, 0, -1
		for i = 1, n do
			local c, max, cost, room, m = window()
			local full, u, t = fits(c, max, cost, room, m)
			if t > retry then index, used, retry = i - 1, u, t end
			if full then
				over = over or {}
				over[i] = true
			elseif m then sets.hold(c, m)
			elseif cost > 0 then c.p, c.dirty = c.p + cost, true end
		end
		if not over then return '0' end
		at, key_at = at_first, key_first
		for i = 1, n do
			local c, _, cost, _, m = window()
			if not over[i] then release(c, cost, m) end
		end
		return '1', index, used, retry
	end

	-- What was reserved counts; forced or not, where a lease has run out.
	local function commit(forced, n)
		local at_first, key_first, refused = at, key_at, false
		for _ = 1, forced == 0 and n or 0 do
			local c, max, cost, _, m = window()
			if m then refused = refused or sets.refuses(c, max, m)
			elseif cost > c.p then refused = refused or fits(c, max, cost - c.p, 0) end
		end
		if refused then return '2' end
		at, key_at = at_first, key_first
		for _ = 1, n do
			local c, _, cost, _, m = window()
			if not m then c.p = cost < c.p and c.p - cost or 0 end
			count(c, cost, m)
		end
		return '0'
	end

	ops = { R = reserve, C = commit, window = window, unit = unit, fits = fits, bury = bury,
		lives = lives, release = release, count = count }
	return ops
end

-- Members, notes, and what is seldom done with units.
function make_sets()
	local window, unit, lives = ops.window, ops.unit, ops.lives
	local all, mine = {}, 'p' .. me
	sets = {}

	-- Counters of members: a sorted set of the slots in which they were seen
	-- last, infinite for who is reserved; a hash says by whom, and the slot.
	local function set(w)
		local k, hk = keys[key_at + 1], keys[key_at + 2]
		key_at = key_at + 2
		local c = all[k]
		if c then return c end
		local h = tonumber(call('HGET', hk, 'h'))
		c = { key = k, hk = hk, w = w, h = math.max(math.floor(now * 60 / w), h or 0), n = 0 }
		if h then
			call('ZREMRANGEBYSCORE', k, '-inf', c.h - 61)
			c.n = call('ZCARD', k)
		end
		all[k] = c
		return c
	end

	-- Anybody asks the counter of members where there is one, else that of
	-- units.
	function sets.window(kind, w, max, cost)
		local room, m
		if kind == 1 then
			room, m, at = read('<dc8', blob, at)
			return set(w), max, cost, room, m
		end
		room, at = read('<d', blob, at)
		if all[keys[key_at + 2]] or call('EXISTS', keys[key_at + 3]) == 1 then
			key_at = key_at + 1
			return set(w), max, cost, room, '*'
		end
		local c = unit(w)
		key_at = key_at + 2
		return c, max, cost, room
	end

	local function let_go(c, m, p)
		if call('HINCRBY', c.hk, p .. m, -1) <= 0 then call('HDEL', c.hk, p .. m) end
		c.dirty = true
		if call('HINCRBY', c.hk, 'n' .. m, -1) > 0 then return end
		local b = tonumber(call('HGET', c.hk, 'b' .. m) or nil)
		call('HDEL', c.hk, 'n' .. m, 'b' .. m)
		if b and b >= c.h - 60 then call('ZADD', c.key, b, m)
		else
			call('ZREM', c.key, m)
			c.n = c.n - 1
		end
	end

	local function set_bury(c)
		local fields = call('HGETALL', c.hk)
		for i = 1, #fields, 2 do
			local f = fields[i]
			if sub(f, 1, 1) == 'p' and not lives(sub(f, 2, 17)) then
				for _ = 1, tonumber(fields[i + 1]) do
					let_go(c, sub(f, 18), sub(f, 1, 17))
				end
			end
		end
	end

	local function set_when(c, want)
		local i = c.h
		local v = call('ZRANGE', c.key, want - 1, want - 1, 'WITHSCORES')
		local k = tonumber(v[2])
		if k and k <= c.h then i = k end
		return math.ceil((i + 61) * c.w / 60) - now
	end

	local function there(c, m)
		return c.n > 0 and call('ZSCORE', c.key, m)
	end

	function sets.fits(c, max, m, room)
		local want = room + ((m == '*' or there(c, m)) and 0 or 1)
		if want > max then return true, c.n, c.w end
		if want == 0 or c.n + want <= max then return false, c.n, 0 end
		set_bury(c)
		if c.n + want <= max then return false, c.n, 0 end
		return true, c.n, set_when(c, c.n + want - max)
	end

	local function lacks(c, m)
		return m ~= '*' and call('HEXISTS', c.hk, mine .. m) == 0
	end

	function sets.hold(c, m)
		if m == '*' then return end
		c.dirty = true
		if call('HINCRBY', c.hk, 'n' .. m, 1) == 1 then
			local s = there(c, m)
			if s then call('HSET', c.hk, 'b' .. m, s) else c.n = c.n + 1 end
			call('ZADD', c.key, '+inf', m)
		end
		call('HINCRBY', c.hk, mine .. m, 1)
	end

	function sets.release(c, m)
		if m ~= '*' and not lacks(c, m) then let_go(c, m, mine) end
	end

	function sets.count(c, m)
		if m == '*' then return end
		if lacks(c, m) then sets.hold(c, m) end
		call('HSET', c.hk, 'b' .. m, c.h)
		let_go(c, m, mine)
	end

	-- Of what was reserved something has run out: does it fit once more?
	function sets.refuses(c, max, m)
		return lacks(c, m) and (sets.fits(c, max, m, 0))
	end

	function sets.used(w)
		local c = set(w)
		set_bury(c)
		return c.n
	end

	function sets.empty(w)
		local c = set(w)
		local before = c.n
		call('ZREMRANGEBYSCORE', c.key, '-inf', c.h)
		for _, f in ipairs(call('HKEYS', c.hk)) do
			if sub(f, 1, 1) == 'b' then call('HDEL', c.hk, f) end
		end
		c.n, c.dirty = call('ZCARD', c.key), true
		return before
	end

	function sets.flush()
		for _, c in pairs(all) do
			if c.dirty and c.n <= 0 then call('DEL', c.key, c.hk)
			elseif c.dirty then
				call('HSET', c.hk, 'h', c.h)
				if expire then
					local ms = math.floor(c.w * 61 / 60) + 3600000
					call('PEXPIRE', c.key, ms)
					call('PEXPIRE', c.hk, ms)
				end
			end
		end
	end

	-- Gives back what counted in slot i.
	local function take(c, i, n)
		local by, left = c.h - i, {}
		c.dirty = true
		if by <= 0 then
			if n > c.cur then n = c.cur end
			c.s, c.cur = c.s - n, c.cur - n
			return
		end
		for a = c.from, #c.v, 8 do
			local d, have = read('<BI7', c.v, a)
			if d == by then
				if n > have then n = have end
				c.s, have = c.s - n, have - n
			end
			if have > 0 then left[#left + 1] = pack('<BI7', d, have) end
		end
		c.v, c.from, c.whole = table.concat(left), 1, true
	end

	-- Reservations given back, or what counted at a time; a member that was
	-- counted stays, for it may have been there before.
	function ops.G(back, n)
		for _ = 1, n do
			local c, _, cost, _, m = window()
			if back < 0 then ops.release(c, cost, m)
			elseif not m then take(c, math.floor(back * 60 / c.w), cost) end
		end
		return '0'
	end

	function ops.N(_, n)
		for _ = 1, n do
			local c, _, cost, _, m = window()
			ops.count(c, cost, m)
		end
		return '0'
	end

	-- The reservation of one window of units is more by that much, or less.
	function ops.A(by, n)
		local which
		which, at = read('<H', blob, at)
		for i = 1, n do
			local c, _, _, _, m = window()
			if i == which and by < 0 then ops.release(c, -by, m)
			elseif i == which and not m then c.p, c.dirty = c.p + by, true end
		end
		return '0'
	end

	function ops.P()
		local full, used, retry = ops.fits(window())
		return full and '1' or '0', 0, used, retry
	end

	-- How many are used, of units (0) or members (1).
	function ops.U(w, kind)
		if kind ~= UNITS then return '0', 0, sets.used(w) end
		local c = unit(w)
		ops.bury(c)
		return '0', 0, c.s + c.p + c.o
	end

	-- Empties a counter; who is reserved stays.
	function ops.X(w, kind)
		if kind ~= UNITS then return sets.empty(w) > 0 and '1' or '0' end
		local c = unit(w)
		local before = c.s
		c.s, c.cur, c.v, c.from, c.whole, c.dirty = 0, 0, '', 1, true, true
		return before > 0 and '1' or '0'
	end

	-- Notes: how long they stay, and what they say.
	function ops.W(left)
		local text, k
		text, at = read('<Hc0', blob, at)
		key_at = key_at + 1
		k = keys[key_at]
		if left <= 0 then return call('DEL', k) == 1 and '0' or '1' end
		if expire then call('SET', k, text, 'PX', left) else call('SET', k, text) end
		return '0'
	end

	-- The same where there is none: "until:text" says whether there is.
	function ops.K(left)
		local there, _ = call('GET', keys[key_at + 1])
		if not there or (tonumber(string.match(there, '^%d*')) or 0) <= now then
			return ops.W(left)
		end
		_, at = read('<Hc0', blob, at)
		key_at = key_at + 1
		return '1'
	end

	function ops.V()
		key_at = key_at + 1
		local text = call('GET', keys[key_at])
		if not text then return '1' end
		texts = texts or {}
		texts[#texts + 1] = text
		return '0'
	end
	return sets
end

for i = 1, nops do
	local letter, number, n, code, index, used, retry
	letter, number, n, at = read('<c1dH', blob, at)
	if letter == 'R' or letter == 'C' and number == 0 then code = plain(letter, n) end
	if not code then
		if not ops then make_ops() end
		if not ops[letter] then make_sets() end
		code, index, used, retry = ops[letter](number, n)
		if used then numbers[#numbers + 1] = pack('<ddd', index, used, retry or 0) end
	end
	codes[i] = code
end

-- A key lives an hour longer than its window from the first touch of a slot,
-- which is written whole; until the next one nothing shrinks.
for k, head in pairs(heads) do call('SETRANGE', k, '0', head) end
for k, c in pairs(units) do
	if c.dirty and c.s + c.p + c.o <= 0 then call('DEL', k)
	elseif c.dirty then
		local v = pack(HEAD, c.h, c.s, c.cur, 1 + #c.others / 24, me, c.p)
		if not c.whole then call('SETRANGE', k, '0', v)
		else
			v = v .. c.others .. sub(c.v, c.from)
			if expire then call('SET', k, v, 'PX', math.floor(c.w * 61 / 60) + 3600000)
			else call('SET', k, v) end
		end
	end
end
if sets then sets.flush() end
local all = table.concat(codes)
before = sub(lease, 1, #was + 8 + before)
call('SETRANGE', keys[1], '0', ARGV[2] .. pack('<d', now) .. all .. before)
if stay_ms > 0 then call('PEXPIRE', keys[1], stay_ms) end
if #numbers > 0 then all = all .. table.concat(numbers) end
if not texts then return all end
return { all, unpack(texts) }
