//===- DefaultText.cpp - Sentences for calibration without data -----------===//
//
// Written for this purpose: news, reviews, questions, instructions, fiction,
// fragments and long sentences, then pairs.
//
//===----------------------------------------------------------------------===//
#include "compiler/Calibrate/DefaultText.h"

using namespace quern;

const std::vector<TextPair> &quern::defaultCalibrationText() {
  static const std::vector<TextPair> texts = {
      {"The committee will publish its final report on Thursday morning.", ""},
      {"A thin layer of frost covered the fields when we left the village.",
       ""},
      {"I have rarely seen a film so careless with its own characters.", ""},
      {"Turn left at the second light, then follow the river for about a mile.",
       ""},
      {"What a wonderful evening; the food, the music and the company were "
       "perfect.",
       ""},
      {"The company said third-quarter revenue rose 12 percent to $4.8 "
       "billion, ahead of analysts' estimates.",
       ""},
      {"Nobody in the office could explain why the printer only worked on "
       "Tuesdays.",
       ""},
      {"Is there any way to change my delivery address after placing an order?",
       ""},
      {"The battery lasts two days, but the screen scratches far too easily.",
       ""},
      {"Photosynthesis converts light energy into chemical energy stored in "
       "sugar.",
       ""},
      {"She closed the book, turned off the lamp and listened to the rain.",
       ""},
      {"It is dull, noisy and at least forty minutes too long.", ""},
      {"The bridge, which was built in 1887, carries more than 30,000 vehicles "
       "a day.",
       ""},
      {"Please restart the router and wait until the green light stops "
       "blinking.",
       ""},
      {"My grandmother used to bake bread every Saturday before sunrise.", ""},
      {"The court ruled that the contract was void because neither party had "
       "signed it.",
       ""},
      {"Why do cats purr when they are not happy?", ""},
      {"A quiet, tender story about two brothers who learn to forgive each "
       "other.",
       ""},
      {"The new law takes effect on January 1 and applies to all employers "
       "with more than fifty workers.",
       ""},
      {"Honestly, I expected more from a hotel at this price.", ""},
      {"Researchers found that patients who slept less than six hours "
       "recovered more slowly.",
       ""},
      {"Add the onions, cook them gently for ten minutes and then stir in the "
       "rice.",
       ""},
      {"He told me that he would think about it, which usually means no.", ""},
      {"The train to Edinburgh departs from platform seven at 10:42.", ""},
      {"An unforgettable performance lifts an otherwise ordinary script.", ""},
      {"Water boils at a lower temperature at high altitude because the air "
       "pressure is lower.",
       ""},
      {"We regret to inform you that your application has not been successful.",
       ""},
      {"The cat sat on the windowsill and watched the snow fall.", ""},
      {"Her second novel is braver, funnier and much sadder than her first.",
       ""},
      {"Can you recommend a good introduction to linear algebra?", ""},
      {"The goalkeeper saved two penalties, and the visitors won 3-1 after "
       "extra time.",
       ""},
      {"Customer service kept me waiting for an hour and then hung up.", ""},
      {"Mount Kilimanjaro, at 5,895 metres, is the highest mountain in Africa.",
       ""},
      {"The software update fixes a security flaw that allowed remote code "
       "execution.",
       ""},
      {"Despite the heavy traffic, they arrived in time for the wedding.", ""},
      {"There is not a single honest moment in this sentimental mess.", ""},
      {"The museum is open daily from nine to five except on public holidays.",
       ""},
      {"In 1969, two astronauts walked on the surface of the Moon for the "
       "first time.",
       ""},
      {"I would buy these shoes again without a second thought.", ""},
      {"The function returns a null pointer if the file cannot be opened.", ""},
      {"Prices of coffee and cocoa have doubled since last spring.", ""},
      {"They argued about money, about politics and about who should wash the "
       "dishes.",
       ""},
      {"The river flooded the lower part of the town twice last winter.", ""},
      {"Does this medicine interact with alcohol?", ""},
      {"A clever premise is wasted on jokes that were old thirty years ago.",
       ""},
      {"The violinist tuned her instrument while the audience settled into "
       "silence.",
       ""},
      {"Unemployment fell to its lowest level in nearly two decades, the "
       "ministry reported.",
       ""},
      {"You can cancel your subscription at any time in the account settings.",
       ""},
      {"The old oak was struck by lightning, yet it bloomed again in May.", ""},
      {"We had to wait, and wait, and wait some more; nobody told us anything.",
       ""},
      {"Antibiotics are effective against bacteria but not against viruses.",
       ""},
      {"\"I never said that,\" replied the mayor, \"and I never will.\"", ""},
      {"The package arrived damaged and two of the glasses were broken.", ""},
      {"The algorithm sorts the list in n log n steps on average and needs no "
       "extra memory.",
       ""},
      {"Few directors understand silence as well as this one does.", ""},
      {"Our flight was delayed by fog, so we missed the connection in "
       "Frankfurt.",
       ""},
      {"The treaty was signed by representatives of 27 countries.", ""},
      {"Mix one part vinegar with three parts water and wipe the surface with "
       "a soft cloth.",
       ""},
      {"It made me laugh, it made me cry, and then it made me call my mother.",
       ""},
      {"The police are looking for a man in a dark blue jacket who was seen "
       "near the station around midnight.",
       ""},
      {"Shares of the airline dropped 7.3% after the strike was announced.",
       ""},
      {"The smallest planet of the solar system is also the closest to the "
       "Sun.",
       ""},
      {"Nothing about the plot makes sense, and nobody seems to care.", ""},
      {"Children under twelve must be accompanied by an adult.", ""},
      {"The witness changed her statement three times, which the defence was "
       "quick to point out.",
       ""},
      {"He plays the piano, speaks four languages and cannot ride a bicycle.",
       ""},
      {"Could you please send me the minutes of yesterday's meeting?", ""},
      {"Bees communicate the direction of flowers by dancing.", ""},
      {"The keyboard feels solid, the display is bright, and the fans are "
       "almost silent.",
       ""},
      {"Good.", ""},
      {"Not what I ordered!", ""},
      {"Thanks a lot for your help :)", ""},
      {"Yes", ""},
      {"Error 404: page not found.", ""},
      {"Visit www.example.org or call +44 20 7946 0018 for details.", ""},
      {"The quick brown fox jumps over the lazy dog.", ""},
      {"John Smith, aged 52, of Leeds, was appointed chief executive on 3 "
       "March 2014.",
       ""},
      {"To be, or not to be: that is the question.", ""},
      {"Caf\xc3\xa9s in Z\xc3\xbcrich charge about 5\xe2\x82\xac for an "
       "espresso.",
       ""},
      {"In the beginning the settlers lived in tents along the shore; later, "
       "when timber arrived by ship, they built a church, a school and a row "
       "of small houses, some of which are still standing today, although most "
       "of them have been turned into shops and restaurants for the visitors "
       "who come every summer.",
       ""},
      {"The study, which followed more than twelve thousand adults over a "
       "period of fifteen years, found no evidence that moderate coffee "
       "consumption increases the risk of heart disease, but the authors "
       "caution that the participants were healthier than the general "
       "population and that the results may not apply to people with high "
       "blood pressure.",
       ""},
      {"A man is playing a guitar on stage.",
       "A musician performs for an audience."},
      {"Two dogs are running through a field of tall grass.",
       "The animals are asleep on a sofa."},
      {"The company reported a loss of $12 million for the quarter.",
       "The firm lost 12 million dollars in the quarter."},
      {"How do I reset my password?",
       "What are the steps to recover a forgotten password?"},
      {"The Amazon is the largest river in the world by discharge of water.",
       "Which river carries the most water?"},
      {"The minister denied that he had met the lobbyists.",
       "The minister met the lobbyists."},
      {"A woman is slicing tomatoes in the kitchen.",
       "Someone is cutting vegetables."},
      {"The storm left more than 200,000 homes without electricity.",
       "About 200,000 households lost power because of the storm."},
      {"When was the telescope invented?",
       "The earliest known telescope appeared in 1608 in the Netherlands."},
      {"A child in a red coat is building a snowman.",
       "A plane is taking off."},
      {"The board approved the merger on Monday.",
       "Shareholders will vote on the merger next month."},
      {"Who wrote the opera that opened the festival?",
       "The festival opened with a new opera by a young composer from Norway, "
       "whose first symphony was performed in Oslo last year."},
      {"He finished the race in just under three hours.",
       "It took him almost three hours to finish the race."},
      {"Is it safe to eat raw eggs?",
       "Raw eggs may contain bacteria that make people ill."},
      {"The museum bought the painting for an undisclosed sum.",
       "The painting was given to the museum for free."},
      {"Several people are waiting at a bus stop in the rain.",
       "People wait for a bus."},
      {"The vaccine was tested on 30,000 volunteers in three countries.",
       "The vaccine has not been tested yet."},
      {"Oil prices fell for the third day in a row on Wednesday.",
       "Crude fell again, its third daily decline."},
      {"A boy jumps into a swimming pool.", "The pool is empty."},
      {"What is the capital of Australia?",
       "Canberra was chosen as the capital in 1908 as a compromise between "
       "Sydney and Melbourne."},
  };
  return texts;
}
